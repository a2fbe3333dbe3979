#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <future>
#include <string>
#include <string_view>
#include <vector>

#include "base/slab.hpp"
#include "harness/cmd/commands.hpp"
#include "harness/cmd/demo_run.hpp"
#include "harness/cmd/text.hpp"
#include "weir/harness/firehose.hpp"

namespace weir::harness::cmd {
namespace {

constexpr const char* kUsage =
    "usage: weir-harness demo\n"
    "  Reads 1 GiB from a server in another process, once for each protocol, stalls on the way, "
    "and\n"
    "  shows what server and client do meanwhile. Exit code 1 if a bound is broken or a byte "
    "wrong.\n";

constexpr std::array kProtocols = {
    DemoProtocol{"HTTP/1.1", false, HttpVersion::http1},
    DemoProtocol{"HTTP/1.1 + TLS", true, HttpVersion::http1},
    DemoProtocol{"HTTP/2 + TLS", true, HttpVersion::http2},
};

constexpr std::uint64_t kMaxRssGrowth = std::uint64_t{8} << 20;  // bytes
const std::uint64_t kBound = ClientOptions().high_water + detail::Slab::kLargest;

/// Writes to stdout, with colours and a line that changes in place if that is a terminal.
class Screen {
 public:
  void show(const DemoMoment& moment) {
    const bool turn = shown_ && moment.phase != phase_;
    if (turn && terminal_) std::fputc('\n', stdout);
    if (turn && !terminal_) std::printf("%s\n", line_.c_str());
    shown_ = true;
    phase_ = moment.phase;
    line_ = line_of(moment);
    if (terminal_) std::printf("\r\033[K%s", line_.c_str());
    std::fflush(stdout);
  }
  void end_line() {
    if (shown_) std::printf("%s\n", terminal_ ? "" : line_.c_str());
    shown_ = false;
    std::fflush(stdout);
  }
  std::string green(const std::string& text) const { return coloured("32", text); }
  std::string red(const std::string& text) const { return coloured("31", text); }
  std::string bold(const std::string& text) const { return coloured("1", text); }

 private:
  static std::string line_of(const DemoMoment& moment) {
    std::array<char, 32> phase{"reading"};
    if (moment.phase == DemoMoment::Phase::done) phase = {"done"};
    if (moment.phase == DemoMoment::Phase::stalled) {
      const double seconds = std::chrono::duration<double>(moment.stalled_for).count();
      std::snprintf(phase.data(), phase.size(), "stalled %.1f s", seconds);
    }
    std::array<char, 160> line{};
    std::snprintf(line.data(), line.size(), "  %-13s  server sent %8s  queued %8s  read %8s  %s",
                  phase.data(), size_text(moment.server_sent).c_str(),
                  size_text(moment.body.queued).c_str(), size_text(moment.body.drained).c_str(),
                  moment.body.paused ? "paused" : "");
    std::string text = line.data();
    return text.erase(text.find_last_not_of(' ') + 1);
  }
  std::string coloured(const char* code, const std::string& text) const {
    return colours_ ? std::string("\033[") + code + "m" + text + "\033[0m" : text;
  }

  const bool terminal_ = ::isatty(STDOUT_FILENO) == 1;
  const bool colours_ = terminal_ && std::getenv("NO_COLOR") == nullptr;
  std::string line_;
  DemoMoment::Phase phase_{};
  bool shown_ = false;
};

/// The most that the kernel may hold of one connection: the limits of its automatic tuning, at
/// the sender and at the receiver. 0 if they cannot be read.
std::uint64_t kernel_limit() {
  std::uint64_t sum = 0;
  for (const char* path : {"/proc/sys/net/ipv4/tcp_wmem", "/proc/sys/net/ipv4/tcp_rmem"}) {
    std::ifstream file(path);
    std::uint64_t least = 0, initial = 0, most = 0;
    if (!(file >> least >> initial >> most)) return 0;
    sum += most;
  }
  return sum;
}

/// One protocol's figures, and what is wrong with them.
struct Row {
  const char* name;
  DemoFigures figures;
  bool sha256_matches;
  std::vector<std::string> problems{};
};

Row judged(const DemoProtocol& protocol, const DemoPlan& plan, const DemoFigures& figures,
           const std::string& sha256) {
  const SlowReaderReport& report = figures.report;
  Row row{protocol.name, figures, report.sha256 == sha256};
  const auto expect = [&](bool holds, const std::string& problem) {
    if (!holds) row.problems.push_back(std::string(protocol.name) + ": " + problem);
  };
  const auto above = [&](const char* what, std::uint64_t value, std::uint64_t limit) {
    expect(value <= limit,
           std::string(what) + ' ' + size_text(value) + " is above " + size_text(limit));
  };
  if (report.failure) expect(false, Error(*report.failure).what());
  expect(report.bytes == plan.size, "only " + size_text(report.bytes) + " arrived");
  expect(row.sha256_matches, "the checksum differs");
  expect(report.at_stall.paused, "the transfer was not paused when the stall ended");
  expect(report.body.pauses == report.body.resumes, "pauses and resumes differ");
  above("peak queued", report.body.peak_queued, kBound);
  above("memory growth", figures.rss_growth, kMaxRssGrowth);
  if (const std::uint64_t kernel = kernel_limit(); kernel > 0) {
    above("what the server sent ahead", figures.server_ahead, kBound + kernel);
  }
  return row;
}

std::string turns_of(const BodyStats& body) {
  return std::to_string(body.pauses) + '/' + std::to_string(body.resumes);
}

void print_table(const std::vector<Row>& rows, const Screen& screen) {
  constexpr const char* kLine = "%-15s %-8s %-8s %-8s %-8s %-8s %-10s%s\n";
  std::printf(
      "\n%s\n%s\n",
      screen
          .bold("protocol        queued   bound    memory   server   pauses/  through-  "
                "SHA-256")
          .c_str(),
      screen.bold("                at most           growth   ahead    resumes  put").c_str());
  for (const Row& row : rows) {
    const SlowReaderReport& report = row.figures.report;
    const std::chrono::duration<double> busy = report.elapsed - report.stalled_for;
    const double rate = static_cast<double>(report.bytes) / std::max(busy.count(), 1e-9);
    std::printf(kLine, row.name, size_text(report.body.peak_queued).c_str(),
                size_text(kBound).c_str(), size_text(row.figures.rss_growth).c_str(),
                size_text(row.figures.server_ahead).c_str(), turns_of(report.body).c_str(),
                rate_text(rate).c_str(),
                row.sha256_matches ? screen.green("match").c_str() : screen.red("differs").c_str());
  }
  std::printf(
      "\nqueued, bound   of the body, in this process; the bound is high_water + one slab\n"
      "memory growth   of this process, at its highest during the transfer\n"
      "server ahead    sent but not read while stalled: our queue and the kernel's buffers\n");
}

bool print_verdict(const std::vector<Row>& rows, double seconds, const Screen& screen) {
  bool well = true;
  std::printf("\n");
  for (const Row& row : rows) {
    for (const std::string& problem : row.problems) {
      std::printf("%s  %s\n", screen.red("FAIL").c_str(), problem.c_str());
      well = false;
    }
  }
  if (well) {
    std::printf(
        "%s  the reader stalled, so the server stopped: at most %s were queued here,\n"
        "      and every byte arrived (%.0f s)\n",
        screen.green("PASS").c_str(), size_text(kBound).c_str(), seconds);
  }
  return well;
}

int run_all(const DemoPlan& plan) {
  const auto start = std::chrono::steady_clock::now();
  Screen screen;
  std::printf(
      "%s\nA process serves %s as fast as it may. This one reads %s, stalls for %lld s, and "
      "reads on.\n",
      screen.bold("weir: a slow reader slows the server, not your memory").c_str(),
      size_text(plan.size).c_str(), size_text(plan.stall_after).c_str(),
      static_cast<long long>(plan.stall_for.count() / 1000));
  // Computed beside the first transfer, most of it while that one stalls.
  const std::shared_future<std::string> sha256 = std::async(
      std::launch::async, [&] { return pattern::sha256(DemoPlan::kSeed, 0, plan.size); });
  std::vector<Row> rows;
  for (const DemoProtocol& protocol : kProtocols) {
    std::printf("\n%s\n", screen.bold(protocol.name).c_str());
    const DemoFigures figures =
        run_demo(protocol, plan, [&](const DemoMoment& moment) { screen.show(moment); });
    screen.end_line();
    rows.push_back(judged(protocol, plan, figures, sha256.get()));
  }
  print_table(rows, screen);
  const auto taken = std::chrono::steady_clock::now() - start;
  const double seconds = std::chrono::duration<double>(taken).count();
  return print_verdict(rows, seconds, screen) ? 0 : 1;
}

}  // namespace

int demo(std::span<char* const> args) {
  if (!args.empty()) {
    const std::string_view arg = args.front();
    const bool asked = arg == "--help" || arg == "-h";
    std::fputs(kUsage, asked ? stdout : stderr);
    return asked ? 0 : 2;
  }
  ::setenv("no_proxy", "127.0.0.1", 1);  // a proxy would hide what is shown
  try {
    return run_all(DemoPlan());
  } catch (const std::exception& problem) {
    std::fflush(stdout);
    std::fprintf(stderr, "\nweir-harness demo: %s\n", problem.what());
    return 1;
  }
}

}  // namespace weir::harness::cmd
