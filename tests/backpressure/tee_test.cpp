#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <string>
#include <utility>

#include "backpressure/checked.hpp"
#include "backpressure/serve_process.hpp"
#include "backpressure/wire.hpp"
#include "support/memory.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

TEST_SUITE_BEGIN("backpressure");

TEST_CASE(
    "A tee goes at the pace of its slow branch in bounded memory, and at full speed after it") {
  const std::uint64_t size = sized<std::uint64_t>(64, 256, 1024) * kMiB;
  const std::uint64_t slow_part = sized<std::uint64_t>(2, 4, 16) * kMiB;
  constexpr std::size_t kLag = 256 * kKiB;
  for (const Protocol& protocol : kProtocols) {
    CAPTURE(protocol.name);
    ServeProcess server(protocol.tls, protocol.http2());
    ClientOptions options;
    options.tls.ca_pem = server.ca_pem();
    options.version = protocol.version;
    Client client(options);
    CHECK(client.fetch(server.url("/bytes/1000000")).bytes().size() == 1'000'000);
    trim_heap();
    reset_peak_rss();
    const std::size_t before = rss();

    const std::string path = "/bytes/" + std::to_string(size) + "?seed=7";
    auto bodies = client.fetch(server.url(path)).body.tee(kLag);
    Reader fast = bodies.first.reader();
    std::optional<Reader> slow(bodies.second.reader());
    std::atomic<std::uint64_t> fast_bytes{0};
    auto whole = std::async(std::launch::async, [&fast, &fast_bytes] {
      Tally tally(7);
      while (tally.take(fast.read())) fast_bytes.store(tally.bytes);
      return tally;
    });
    // About 1 MB/s: the other branch, and so the server, gets no further ahead than it may.
    Tally slowly(7);
    std::uint64_t most_ahead = 0;
    while (slowly.bytes < slow_part) {
      slowly.take(slow->read());
      let_pass(std::chrono::milliseconds(sized(5, 20, 60)));
      const std::uint64_t ahead = fast_bytes.load();
      if (ahead > slowly.bytes) most_ahead = std::max(most_ahead, ahead - slowly.bytes);
    }
    CHECK(most_ahead <= kLag + kSlab);
    CHECK(!slowly.wrong);
    CHECK(fast.stats().peak_queued < kHighWater + kOneWrite);
    CHECK(fast.stats().pauses > 0);
    const auto start = std::chrono::steady_clock::now();
    const std::uint64_t rest = size - fast_bytes.load();
    slow.reset();
    CHECK(whole.get().is_whole(size));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    const std::size_t growth = peak_rss() > before ? peak_rss() - before : 0;
    if (!under_sanitizer()) CHECK(growth < 12 * kMiB);
    CHECK(client.stats().queue_memory == 0);
    MESSAGE(std::string(protocol.name), ": ahead by ", mib(most_ahead), " at most, RSS grew ",
            mib(growth), ", then ", static_cast<double>(rest) / 1e6 / took.count(), " MB/s");
  }
}

TEST_SUITE_END();
