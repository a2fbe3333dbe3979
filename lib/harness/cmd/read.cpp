#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include "harness/cmd/commands.hpp"
#include "harness/cmd/options.hpp"
#include "harness/cmd/process_stats.hpp"
#include "harness/cmd/program.hpp"
#include "harness/cmd/read_options.hpp"
#include "harness/cmd/read_report.hpp"
#include "harness/cmd/read_run.hpp"
#include "harness/cmd/text.hpp"

namespace weir::harness::cmd {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Passes an interrupt on, and shows progress if stderr is a terminal.
class Monitor {
 public:
  Monitor(const ReadRun& run, std::stop_source& stop, bool visible)
      : run_(run), stop_(stop), visible_(visible) {}
  ~Monitor() {
    ticker_.stop();
    if (visible_) std::fputs("\r\033[K", stderr);
  }
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

 private:
  void tick() {
    if (interrupted()) stop_.request_stop();
    const auto now = Clock::now();
    if (visible_ && now - shown_ >= milliseconds(100)) show(now);
  }

  void show(Clock::time_point now) {
    const LiveView view = run_.live();
    const double seconds = std::chrono::duration<double>(now - shown_).count();
    const double rate = static_cast<double>(view.read - read_) / seconds;
    rate_ += (rate - rate_) * 0.3;  // smooth, or nobody can read it
    shown_ = now;
    read_ = view.read;
    std::fprintf(stderr, "\r\033[K%s  %s  queued %s  paused %zu of %zu",
                 size_text(view.read).c_str(), rate_text(rate_).c_str(),
                 size_text(view.queued).c_str(), view.paused, view.readers);
    std::fflush(stderr);
  }

  const ReadRun& run_;
  std::stop_source& stop_;
  const bool visible_;
  Clock::time_point shown_ = Clock::now();
  std::uint64_t read_ = 0;
  double rate_ = 0;  // bytes/s
  Ticker ticker_{milliseconds(20), [this] { tick(); }};
};

/// "http://host:port/" of a URL; empty if it is none.
std::string origin_of(const std::string& url) {
  const auto scheme_end = url.find("://");
  if (scheme_end == std::string::npos) return {};
  return url.substr(0, url.find_first_of("/?#", scheme_end + 3)) + '/';
}

/// One request that brings no body, so that what is measured next starts warm. Its outcome says
/// nothing about the URL: servers may refuse HEAD, or the path.
bool warm_up(Client& client, const ReadOptions& options, const std::stop_token& stop) {
  constexpr milliseconds kPatience{5000};
  try {
    RequestInit init = options.request(stop);
    init.method = "HEAD";
    if (init.total_timeout == milliseconds(0)) init.total_timeout = kPatience;
    init.total_timeout = std::min(init.total_timeout, kPatience);
    (void)client.fetch(origin_of(options.url), std::move(init)).text();
    return true;
  } catch (const Error&) {
    return false;
  }
}

int read(const ReadOptions& options) {
  become_interruptible();
  std::stop_source stop;
  Client client(options.client());
  ReadRun run(client, options, stop.get_token());
  const bool visible = ::isatty(STDERR_FILENO) == 1;
  RunFigures figures;
  {
    const Monitor monitor(run, stop, visible);
    warm_up(client, options, stop.get_token());
    const double cpu_start = cpu_seconds();
    figures.rss_start = rss_bytes();
    PeakRss peak;
    run.run(visible);
    figures.rss_peak = peak.bytes();
    figures.cpu_seconds = cpu_seconds() - cpu_start;
    figures.client = client.stats();
  }
  const bool printed =
      print_line("read", read_report(options, run.streams(), run.active(), figures));
  return printed && all_ok(run.streams(), run.active()) ? 0 : 1;
}

}  // namespace

int read(std::span<char* const> args) {
  try {
    const ReadOptions options = read_options(args);
    if (!options.help) return read(options);
    std::fputs(read_usage(), stdout);
    return 0;
  } catch (const UsageError& problem) {
    std::fprintf(stderr, "weir-harness read: %s\n\n%s", problem.what(), read_usage());
    return 2;
  } catch (const std::exception& problem) {  // no thread or descriptor for the client
    std::fprintf(stderr, "weir-harness read: %s\n", problem.what());
    return 1;
  }
}

}  // namespace weir::harness::cmd
