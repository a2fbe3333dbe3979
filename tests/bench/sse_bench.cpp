// What the parser of server-sent events costs on one thread, and what nothing can cost less than:
// finding the lines, copying them, and looking whether they are UTF-8.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.hpp"
#include "sse/parser.hpp"

namespace weir::bench {
namespace {

constexpr std::size_t kStream = std::size_t{8} << 20;  // bytes, at least
constexpr std::size_t kPiece = std::size_t{64} << 10;  // as from a Reader

/// Events whose one line has `value` bytes.
std::string events_of(std::size_t value, std::string_view pattern) {
  std::string event = "data: ";
  while (event.size() < value + 6) event += pattern;
  event += "\n\n";
  std::string stream;
  while (stream.size() < kStream) stream += event;
  return stream;
}

void parse(benchmark::State& state, std::string_view pattern) {
  const std::string stream = events_of(static_cast<std::size_t>(state.range(0)), pattern);
  const auto piece = static_cast<std::size_t>(state.range(1));
  std::int64_t events = 0;
  for (auto _ : state) {
    sse::Parser parser;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      parser.feed(std::string_view(stream).substr(at, piece));
      while (parser.next() == sse::Parser::Item::event) {
        Event event = parser.take_event();
        benchmark::DoNotOptimize(event.data.data());
        ++events;
      }
    }
  }
  state.SetItemsProcessed(events);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(stream.size()));
}

/// memchr, valid_utf8 and memcpy of the same lines into one buffer, from a stream in one piece.
void floor(benchmark::State& state, std::string_view pattern) {
  const std::string stream = events_of(static_cast<std::size_t>(state.range(0)), pattern);
  std::vector<char> line(stream.size());
  for (auto _ : state) {
    const char* at = stream.data();
    const char* const end = at + stream.size();
    while (at < end) {
      const auto* const lf =
          static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
      const auto size = static_cast<std::size_t>(lf - at);
      benchmark::DoNotOptimize(detail::valid_utf8({at, size}));
      std::memcpy(line.data(), at, size);
      benchmark::DoNotOptimize(line.data());
      benchmark::ClobberMemory();
      at = lf + 1;
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(stream.size()));
}

constexpr std::string_view kAscii = "What a token is. ";
constexpr std::string_view kMixed =
    "Gr\xC3\xBC\xC3\x9F"
    "e, \xE4\xBD\xA0\xE5\xA5\xBD. ";

BENCHMARK_CAPTURE(floor, ascii, kAscii)->Args({192, 0})->Args({64 << 10, 0});
BENCHMARK_CAPTURE(parse, ascii, kAscii)
    ->Args({192, kPiece})
    ->Args({64 << 10, kPiece})
    ->Args({64 << 10, 16 << 10})
    ->Args({192, 1});
BENCHMARK_CAPTURE(floor, mixed, kMixed)->Args({192, 0})->Args({64 << 10, 0});
BENCHMARK_CAPTURE(parse, mixed, kMixed)->Args({192, kPiece})->Args({64 << 10, kPiece});

/// Also keeps the bytes per second of each, for the ratios.
class Keeping : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      const auto rate = run.counters.find("bytes_per_second");
      if (rate == run.counters.end() || run.run_type != Run::RT_Iteration) continue;
      double& best = best_[run.run_name.function_name + "/" + run.run_name.args];
      best = std::max(best, rate->second.value);
    }
  }
  double best(const std::string& name) const {
    const auto found = best_.find(name);
    return found == best_.end() ? 0 : found->second;
  }

 private:
  std::map<std::string, double> best_;
};

/// 0: a bar was missed.
bool compare(const Keeping& kept) {
  const auto rate = [&](const char* name) { return kept.best(name) / 1e9; };
  bool met = true;
  const auto bar = [&](const char* what, double value, double least) {
    std::printf("%-44s %6.2f  (bar: %.2f)%s\n", what, value, least,
                value < least ? "  MISSED" : "");
    met = met && value >= least;
  };
  std::printf("\n");
  bar("200-byte events, GB/s", rate("parse/ascii/192/65536"), 1);
  bar("64 KiB lines / floor", rate("parse/ascii/65536/65536") / rate("floor/ascii/65536/0"), 0.5);
  bar("64 KiB lines in 16 KiB pieces / floor",
      rate("parse/ascii/65536/16384") / rate("floor/ascii/65536/0"), 0.5);
  bar("64 KiB lines, not all ASCII / floor",
      rate("parse/mixed/65536/65536") / rate("floor/mixed/65536/0"), 0.5);
  return met;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  weir::bench::Keeping kept;
  benchmark::RunSpecifiedBenchmarks(&kept);
  return weir::bench::compare(kept) ? 0 : 1;
}
