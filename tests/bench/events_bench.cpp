// Server-sent events end to end, beside a plain libcurl loop with the same parser: how long after
// the server made an event it is there, how many of a burst come in a second, and what many sources
// cost that hear a heartbeat now and then.

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "backpressure/serve_process.hpp"
#include "backpressure/wire.hpp"
#include "bench/client.hpp"
#include "bench/plain_events.hpp"
#include "support/memory.hpp"
#include "weir/weir.hpp"

namespace weir::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr const char* kHelp =
    "usage: weir-bench-events [--rounds N] [--events N] [--burst N] [--flushes N] [--sources N]\n"
    "                         [--seconds N]\n"
    "  Latencies of N events (1000) 2 ms apart, and a burst of N (400000) of 200 bytes, through a\n"
    "  plain loop, EventStream and EventSource in interleaved rounds (5); N events (200) 100 ms\n"
    "  apart in each coding; then N sources (2000) with a heartbeat every 10 s for N seconds "
    "(30).\n"
    "  Exit code 1: a bar was missed.\n";

struct Settings {
  std::uint64_t rounds = 5;
  std::uint64_t events = 1000;
  std::uint64_t burst = 400'000;
  std::uint64_t flushes = 200;
  std::uint64_t sources = 2000;
  std::uint64_t seconds = 30;
};

enum class Way { plain, stream, source };
constexpr Way kWays[] = {Way::plain, Way::stream, Way::source};
constexpr const char* kNames[] = {"plain", "EventStream", "EventSource"};

RequestInit init() {
  RequestInit made;
  made.version = HttpVersion::http1;
  made.decode = false;  // the plain loop asks for no codings either
  return made;
}

/// Gives every event to `use`.
template <class Use>
void read(Way way, const std::string& url, Use use) {
  if (way == Way::plain) return PlainEvents<Use>(url, use).run();
  Client client;
  if (way == Way::stream) {
    EventStream events(client.fetch(url, init()).body);
    while (const auto event = events.next()) use(*event);
    return;
  }
  EventSourceOptions options;
  options.init = init();
  options.reconnect = Reconnect::never;
  EventSource events(client, url, std::move(options));
  while (const auto event = events.next()) use(*event);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Latency {
  double p50 = 0;  // us
  double p99 = 0;
};

/// us since the server wrote it in there.
double age_of(const Event& event) {
  const std::chrono::nanoseconds now = SteadyClock::now().time_since_epoch();
  const std::chrono::nanoseconds made(std::stoll(event.data));
  return std::chrono::duration<double, std::micro>(now - made).count();
}

Latency percentiles(std::vector<double> all) {
  if (all.size() < 100) throw std::runtime_error("too few events");
  all.erase(all.begin(), all.begin() + 10);  // what follows the head
  std::sort(all.begin(), all.end());
  return {all[all.size() / 2], all[all.size() * 99 / 100]};
}

Latency latency(Way way, const std::string& url) {
  std::vector<double> all;
  read(way, url, [&](const Event& event) { all.push_back(age_of(event)); });
  return percentiles(std::move(all));
}

/// Of events that the server encodes, and flushes one by one.
Latency latency_encoded(const std::string& url) {
  Client client;
  EventStream events(client.fetch(url).body);
  std::vector<double> all;
  while (const auto event = events.next()) all.push_back(age_of(*event));
  return percentiles(std::move(all));
}

double events_per_second(Way way, const std::string& url, std::uint64_t expected) {
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
  const auto start = SteadyClock::now();
  read(way, url, [&](const Event& event) {
    ++count;
    bytes += event.data.size();
  });
  const std::chrono::duration<double> took = SteadyClock::now() - start;
  if (count != expected || bytes < count) throw std::runtime_error("events are missing");
  return static_cast<double>(count) / took.count();
}

class Bars {
 public:
  void at_most(const std::string& what, double value, double most) {
    tell(what, value, most, value > most);
  }
  void at_least(const std::string& what, double value, double least) {
    tell(what, value, least, value < least);
  }
  bool met() const noexcept { return met_; }

 private:
  void tell(const std::string& what, double value, double bar, bool missed) {
    std::printf("%-44s %8.2f  (bar: %.2f)%s\n", what.c_str(), value, bar, missed ? "  MISSED" : "");
    std::fflush(stdout);
    met_ = met_ && !missed;
  }
  bool met_ = true;
};

void compare(const test::ServeProcess& server, const Settings& settings, Bars& bars) {
  const std::string paced =
      server.url("/sse?stamp=1&interval_ms=2&events=" + std::to_string(settings.events));
  const std::string burst =
      server.url("/sse?burst=1&size=192&events=" + std::to_string(settings.burst));
  std::vector<Latency> latencies[3];
  std::vector<double> speeds[3];
  for (std::uint64_t round = 0; round < settings.rounds; ++round) {
    for (const Way way : kWays) {
      const auto i = static_cast<std::size_t>(way);
      latencies[i].push_back(latency(way, paced));
      speeds[i].push_back(events_per_second(way, burst, settings.burst));
      std::printf("%-12s p50 %7.1f us  p99 %7.1f us  burst %9.0f events/s\n", kNames[i],
                  latencies[i].back().p50, latencies[i].back().p99, speeds[i].back());
      std::fflush(stdout);
    }
  }
  for (const std::size_t way : {1U, 2U}) {
    std::vector<double> p50, p99, speed;
    for (std::size_t round = 0; round < settings.rounds; ++round) {
      p50.push_back(latencies[way][round].p50 / latencies[0][round].p50);
      p99.push_back(latencies[way][round].p99 - latencies[0][round].p99);
      speed.push_back(speeds[way][round] / speeds[0][round]);
    }
    const std::string name = kNames[way];
    bars.at_most(name + ": p50 of latency / plain", median(p50), 1.45);
    bars.at_most(name + ": p99 of latency - plain, us", median(p99), 100);
    bars.at_least(name + ": burst / plain", median(speed), 0.85);
  }
}

void decode(const test::ServeProcess& server, const Settings& settings, Bars& bars) {
  for (const char* coding : {"gzip", "br", "zstd"}) {
    const Latency seen = latency_encoded(
        server.url("/sse?stamp=1&interval_ms=100&events=" + std::to_string(settings.flushes) +
                   "&encode=" + coding));
    bars.at_most(std::string(coding) + ": p99 of what was flushed, ms", seen.p99 / 1000, 20);
  }
}

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

void keep_many(const test::ServeProcess& server, const Settings& settings, Bars& bars) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  Client client;
  std::vector<std::unique_ptr<EventSource>> all;
  const auto add = [&] {
    all.push_back(
        std::make_unique<EventSource>(client, server.url("/sse?events=0&heartbeat_ms=10000")));
    while (all.back()->state() != EventSource::State::open) std::this_thread::yield();
  };
  add();
  test::trim_heap();
  const std::size_t before = test::rss();
  const std::size_t threads = test::thread_count();
  while (all.size() <= settings.sources) add();
  const double each = static_cast<double>(test::rss() - before) / 1024;
  const double cpu = cpu_seconds();
  test::let_pass(std::chrono::seconds(settings.seconds));
  const double share = (cpu_seconds() - cpu) / static_cast<double>(settings.seconds);
  const auto many = static_cast<double>(settings.sources);
  bars.at_most("KiB of RSS for each of many sources", each / many, 40);
  bars.at_most("% of a CPU for all of them", 100 * share, 5);
  bars.at_most("threads more", static_cast<double>(test::thread_count() - threads), 0);
  if (client.stats().requests != all.size()) throw std::runtime_error("a source connected again");
}

Settings settings_of(int count, char** words) {
  Settings settings;
  const std::pair<std::string_view, std::uint64_t*> kOptions[] = {
      {"--rounds", &settings.rounds},   {"--events", &settings.events},
      {"--burst", &settings.burst},     {"--flushes", &settings.flushes},
      {"--sources", &settings.sources}, {"--seconds", &settings.seconds},
  };
  for (int i = 1; i < count; i += 2) {
    const auto* const found =
        std::find_if(std::begin(kOptions), std::end(kOptions),
                     [&](const auto& option) { return option.first == words[i] && i + 1 < count; });
    if (found == std::end(kOptions)) throw std::invalid_argument(kHelp);
    *found->second = number(words[i + 1]);
  }
  return settings;
}

int run(int count, char** words) try {
  const Settings settings = settings_of(count, words);
  ::setenv("WEIR_HARNESS", WEIR_BENCH_HARNESS, 0);
  curl_global_init(CURL_GLOBAL_ALL);
  const test::ServeProcess server(false, false);
  Bars bars;
  compare(server, settings, bars);
  decode(server, settings, bars);
  keep_many(server, settings, bars);
  return bars.met() ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 2;
}

}  // namespace
}  // namespace weir::bench

int main(int count, char** words) { return weir::bench::run(count, words); }
