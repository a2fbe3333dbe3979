#include "harness/cmd/demo_run.hpp"

#include <condition_variable>
#include <cstdlib>
#include <future>
#include <mutex>
#include <optional>
#include <utility>

#include "harness/cmd/process_stats.hpp"
#include "harness/cmd/server_process.hpp"

namespace weir::harness::cmd {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kStep{100};

/// The reading thread's side of what is shown.
/// Thread-safety: any thread.
class Shared {
 public:
  explicit Shared(milliseconds stall_for) : stall_for_(stall_for) {}

  void update(const BodyStats& body) {
    const std::lock_guard lock(mutex_);
    body_ = body;
  }
  void begin_stall() {
    const std::lock_guard lock(mutex_);
    stalled_ = Clock::now();
    changed_.notify_all();
  }
  void finish() {
    const std::lock_guard lock(mutex_);
    done_ = true;
    changed_.notify_all();
  }
  DemoMoment moment() const {
    const std::lock_guard lock(mutex_);
    DemoMoment moment;
    moment.phase = phase();
    moment.body = body_;
    if (moment.phase == DemoMoment::Phase::stalled) {
      moment.stalled_for = std::chrono::duration_cast<milliseconds>(Clock::now() - *stalled_);
    }
    return moment;
  }
  /// Returns at `deadline`, or as soon as the phase is known to be another one.
  void wait_beyond(DemoMoment::Phase before, Clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline, [&] { return phase() != before; });
  }

 private:
  DemoMoment::Phase phase() const {
    if (done_) return DemoMoment::Phase::done;
    const bool stalled = stalled_ && Clock::now() - *stalled_ < stall_for_;
    return stalled ? DemoMoment::Phase::stalled : DemoMoment::Phase::reading;
  }

  const milliseconds stall_for_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Clock::time_point> stalled_;  // when the stall began
  bool done_ = false;
  BodyStats body_;
};

std::string path_of(const DemoPlan& plan) {
  return "/bytes/" + std::to_string(plan.size) + "?seed=" + std::to_string(DemoPlan::kSeed);
}

/// Asks the server how much of the body it got rid of: on the same client, since a stalled body
/// holds up no other.
class ServerView {
 public:
  ServerView(Client& client, const ServerProcess& server, const DemoPlan& plan)
      : client_(client),
        url_(server.url("/stats?bodies=1")),
        record_("\"path\":\"" + path_of(plan) + "\",\"bytes_accepted\":") {}

  std::uint64_t sent() const {
    const std::string stats = client_.fetch(url_).text();
    const auto found = stats.find(record_);
    if (found == std::string::npos) return 0;
    return std::strtoull(stats.c_str() + found + record_.size(), nullptr, 10);
  }

 private:
  Client& client_;
  const std::string url_;
  const std::string record_;
};

SlowReaderOptions pace_of(const DemoPlan& plan, Shared& shared) {
  SlowReaderOptions pace;
  pace.stall_after = plan.stall_after;
  pace.stall_for = plan.stall_for;
  pace.on_stall = [&shared] { shared.begin_stall(); };
  pace.watch = [&shared](const BodyStats& body) { shared.update(body); };
  return pace;
}

SlowReaderReport read(Client& client, const std::string& url, HttpVersion version,
                      const SlowReaderOptions& pace) {
  RequestInit init;
  init.version = version;
  Response response = client.fetch(url, std::move(init));
  return slow_read(client, std::move(response.body), pace);
}

}  // namespace

DemoFigures run_demo(const DemoProtocol& protocol, const DemoPlan& plan,
                     const std::function<void(const DemoMoment&)>& show) {
  const ServerProcess server(protocol.tls);
  ClientOptions options;
  options.tls.ca_pem = server.ca_pem();
  Client client(options);
  const ServerView view(client, server, plan);
  view.sent();  // warm: what the first request allocates is not the body's
  const std::uint64_t rss_start = rss_bytes();
  PeakRss peak;

  Shared shared(plan.stall_for);
  auto reading = std::async(std::launch::async, [&] {
    struct Finish {
      Shared& shared;
      ~Finish() { shared.finish(); }
    } const finish{shared};
    return read(client, server.url(path_of(plan)), protocol.version, pace_of(plan, shared));
  });
  DemoFigures figures;
  DemoMoment moment;
  auto next = Clock::now();
  while (moment.phase != DemoMoment::Phase::done) {
    shared.wait_beyond(moment.phase, next += kStep);
    moment = shared.moment();
    moment.server_sent = view.sent();
    // Not near the end of the stall, where the server may be sending again by the time it answers.
    if (moment.phase == DemoMoment::Phase::stalled &&
        shared.moment().stalled_for + kStep < plan.stall_for) {
      figures.server_ahead = moment.server_sent - moment.body.drained;
    }
    show(moment);
  }
  figures.report = reading.get();
  figures.rss_growth = peak.bytes() - rss_start;
  return figures;
}

}  // namespace weir::harness::cmd
