// Runs both programs side by side, round by round, and compares them with the bars.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/client.hpp"
#include "bench/server.hpp"

namespace weir::bench {
namespace {

constexpr const char* kHelp =
    "usage: weir-bench [--rounds N] [--size MiB] [--requests N] [--server nginx|harness] "
    "[NAME...]\n"
    "  Compares weir with a plain libcurl program (weir-bench-baseline) in interleaved rounds and\n"
    "  prints medians; ratios are medians of the ratios of each round. NAME: all scenarios whose\n"
    "  name begins with it. Exit code 1: a bar was missed.\n"
    "  The last figure is the CPU that others used meanwhile: above 10 % a ratio means little.\n";

/// Foreign work beyond this share of a run's time spoils its round.
constexpr double kNoise = 0.1;

struct Scenario {
  const char* name;
  Wire wire;
  std::size_t in_flight;  // 0: a download
  const char* manner;
  double least_speed;  // x the baseline's; 0: no bar
  double most_cpu;     // x the baseline's, per byte or request; 0: no bar
};

// With one request at a time and 64 in flight the bar is on the rate alone.
constexpr Scenario kScenarios[] = {
    {"download-h1", Wire::plain, 0, "", 0.95, 1.6},
    {"download-h1-tls", Wire::tls, 0, "", 0.92, 1.3},
    {"download-h2", Wire::http2, 0, "", 0.95, 1.2},
    {"requests-1", Wire::plain, 1, "threads", 0.85, 0},
    {"requests-64-async", Wire::plain, 64, "async", 0.8, 0},
    {"requests-64-threads", Wire::plain, 64, "threads", 0, 0},
};

struct Settings {
  std::size_t rounds = 5;
  std::uint64_t size = std::uint64_t{2} << 30;
  std::uint64_t requests = 20'000;  // one at a time; four times as many with more in flight
  bool harness = false;
  std::vector<std::string_view> names{};

  bool wants(std::string_view name) const {
    return names.empty() || std::any_of(names.begin(), names.end(),
                                        [&](auto prefix) { return name.starts_with(prefix); });
  }
};

struct Run {
  double speed = 0;  // MB/s or requests/s
  double cpu = 0;    // s/GiB or us/request
  double foreign = 0;
};

struct Round {
  Run baseline{};
  Run weir{};
  double foreign() const { return std::max(baseline.foreign, weir.foreign); }
};

/// This build cannot do it; says why.
struct NotRun : std::runtime_error {
  using std::runtime_error::runtime_error;
};

double ticks_to_seconds(double ticks) {
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// CPU seconds of the whole machine: user, nice and system.
double machine_time() {
  std::ifstream file("/proc/stat");
  std::string word;
  double user = 0;
  double nice = 0;
  double system = 0;
  file >> word >> user >> nice >> system;
  return ticks_to_seconds(user + nice + system);
}

double process_time(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(file, text)) return 0;
  std::istringstream rest(text.substr(text.rfind(')') + 2));
  for (int i = 3; i < 14; ++i) rest >> text;  // field 14 is user time, 15 system time
  double user = 0;
  double system = 0;
  rest >> user >> system;
  return ticks_to_seconds(user + system);
}

double field(const std::string& json, std::string_view name) {
  const std::string key = "\"" + std::string(name) + "\":";
  const auto at = json.find(key);
  if (at == json.npos) throw std::runtime_error("no " + key + " in " + json);
  return std::strtod(json.c_str() + at + key.size(), nullptr);
}

class Comparison {
 public:
  Comparison(const Scenario& scenario, const Settings& settings, const Server& server)
      : scenario_(scenario), settings_(settings), server_(server) {}

  /// Noisy rounds are repeated, up to twice as many in all; the quietest count.
  std::vector<Round> rounds() const {
    std::vector<Round> all;
    std::size_t quiet = 0;
    run(WEIR_BENCH_CLIENT);  // both warm up, and it may not be able to
    run(WEIR_BENCH_BASELINE);
    while (quiet < settings_.rounds && all.size() < 2 * settings_.rounds) {
      Round round;
      round.baseline = run(WEIR_BENCH_BASELINE);
      round.weir = run(WEIR_BENCH_CLIENT);
      all.push_back(round);
      if (round.foreign() <= kNoise) ++quiet;
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Round& a, const Round& b) { return a.foreign() < b.foreign(); });
    all.resize(settings_.rounds);
    return all;
  }

 private:
  bool downloads() const { return scenario_.in_flight == 0; }

  std::vector<std::string> words(const char* program) const {
    std::vector<std::string> words{program};
    if (downloads()) {
      words.insert(words.end(), {"download", server_.large_url(scenario_.wire)});
    } else {
      const std::uint64_t count = settings_.requests * (scenario_.in_flight > 1 ? 4 : 1);
      words.insert(words.end(),
                   {"requests", server_.small_url(scenario_.wire), std::to_string(count),
                    std::to_string(scenario_.in_flight), scenario_.manner});
    }
    if (scenario_.wire == Wire::http2) words.insert(words.end(), {"--http", "2"});
    words.insert(words.end(), {"--ca", server_.ca_file()});
    return words;
  }

  Run run(const char* program) const {
    const pid_t server = server_.pid(scenario_.wire);
    const auto began = std::chrono::steady_clock::now();
    const double machine = machine_time() - process_time(server);
    test::Child child(words(program));
    const std::string json = child.line();
    const int code = child.wait();
    if (code == 3) throw NotRun(json);
    if (code != 0) throw std::runtime_error(std::string(program) + " failed: " + json);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    const double others = machine_time() - process_time(server) - machine;

    const double cpu = field(json, "user") + field(json, "system");
    const double bytes = field(json, "bytes");
    const double requests = field(json, "requests");
    Run run;
    run.foreign = std::max(0.0, others - cpu) / took.count();
    run.speed = (downloads() ? bytes / 1e6 : requests) / field(json, "seconds");
    run.cpu = downloads() ? cpu / bytes * 0x1p30 : cpu / requests * 1e6;
    return run;
  }

  const Scenario& scenario_;
  const Settings& settings_;
  const Server& server_;
};

template <class Value>
double median(const std::vector<Round>& rounds, Value&& value) {
  std::vector<double> all;
  for (const Round& round : rounds) all.push_back(value(round));
  std::sort(all.begin(), all.end());
  const std::size_t half = all.size() / 2;
  return all.size() % 2 != 0 ? all[half] : (all[half - 1] + all[half]) / 2;
}

/// One line of the table. True: all bars are met.
bool print(const Scenario& scenario, const std::vector<Round>& rounds) {
  const bool download = scenario.in_flight == 0;
  const double speed =
      median(rounds, [](const Round& r) { return r.weir.speed / r.baseline.speed; });
  const double cpu = median(rounds, [](const Round& r) { return r.weir.cpu / r.baseline.cpu; });
  const double foreign = median(rounds, [](const Round& r) { return r.foreign(); });
  const bool passes =
      speed >= scenario.least_speed && (scenario.most_cpu == 0 || cpu <= scenario.most_cpu);
  const bool has_bar = scenario.least_speed != 0 || scenario.most_cpu != 0;
  char least[16] = "";
  char most[16] = "";
  if (scenario.least_speed != 0) std::snprintf(least, sizeof least, ">=%.2f", scenario.least_speed);
  if (scenario.most_cpu != 0) std::snprintf(most, sizeof most, "<=%.2f", scenario.most_cpu);
  std::printf("%-20s %7.0f %7.0f %-5s %5.2f %-6s  %6.2f %6.2f %-6s %5.2f %-6s  %4.0f %%  %s\n",
              scenario.name, median(rounds, [](const Round& r) { return r.baseline.speed; }),
              median(rounds, [](const Round& r) { return r.weir.speed; }),
              download ? "MB/s" : "req/s", speed, least,
              median(rounds, [](const Round& r) { return r.baseline.cpu; }),
              median(rounds, [](const Round& r) { return r.weir.cpu; }),
              download ? "s/GiB" : "us/req", cpu, most, 100 * foreign,
              !has_bar           ? "-"
              : passes           ? "PASS"
              : foreign > kNoise ? "MISS (noise)"
                                 : "MISS");
  std::fflush(stdout);
  return passes;
}

Settings parse_settings(std::span<const char* const> words) {
  Settings settings;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i];
    const auto value = [&]() -> std::string_view {
      if (++i == words.size()) throw std::invalid_argument(std::string(word) + " needs a value");
      return words[i];
    };
    if (word == "--rounds") {
      settings.rounds = number(value());
    } else if (word == "--size") {
      settings.size = number(value()) << 20;
    } else if (word == "--requests") {
      settings.requests = number(value());
    } else if (word == "--server") {
      settings.harness = value() == "harness";
    } else if (word.starts_with("-")) {
      throw std::invalid_argument("unexpected: " + std::string(word));
    } else {
      settings.names.push_back(word);
    }
  }
  return settings;
}

std::unique_ptr<Server> start_server(const Settings& settings) {
  if (!settings.harness && !NginxServer::installed()) {
    std::printf("nginx is not installed: weir-harness serves\n");
  }
  if (settings.harness || !NginxServer::installed()) {
    return std::make_unique<HarnessServer>(WEIR_BENCH_HARNESS, settings.size);
  }
  return std::make_unique<NginxServer>(settings.size);
}

int run(const Settings& settings) {
  const auto server = start_server(settings);
  std::printf("%-20s %7s %7s %-5s %5s %-6s  %6s %6s %-6s %5s %-6s  %s\n", "", "libcurl", "weir", "",
              "ratio", "bar", "CPU", "weir", "", "ratio", "bar", "foreign");
  bool all_passed = true;
  for (const Scenario& scenario : kScenarios) {
    if (!settings.wants(scenario.name)) continue;
    try {
      all_passed &= print(scenario, Comparison(scenario, settings, *server).rounds());
    } catch (const NotRun& why) {
      std::printf("%-20s not run: %s\n", scenario.name, why.what());
    }
  }
  return all_passed ? 0 : 1;
}

}  // namespace
}  // namespace weir::bench

int main(int count, char** words) try {
  using namespace weir::bench;
  const std::span<const char* const> all(words, static_cast<std::size_t>(count));
  return run(parse_settings(all));
} catch (const std::invalid_argument& error) {
  std::fprintf(stderr, "weir-bench: %s\n%s", error.what(), weir::bench::kHelp);
  return 2;
} catch (const std::exception& error) {
  std::fprintf(stderr, "weir-bench: %s\n", error.what());
  return 2;
}
