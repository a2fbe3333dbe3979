#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "backpressure/checked.hpp"
#include "backpressure/serve_process.hpp"
#include "backpressure/wire.hpp"
#include "support/memory.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::array<const char*, 3> kCodings{"gzip", "br", "zstd"};

std::string sha256_of_zeros(std::uint64_t size) {
  harness::Sha256 digest;
  const std::vector<std::byte> zeros(kMiB);
  for (std::uint64_t at = 0; at < size; at += zeros.size()) {
    digest.update(Bytes(zeros).first(std::min<std::uint64_t>(zeros.size(), size - at)));
  }
  return digest.hex();
}

/// The process's memory at its highest since `before`, less what it was then.
std::size_t growth_since(std::size_t before) {
  const std::size_t peak = peak_rss();
  return peak > before ? peak - before : 0;
}

std::size_t start_measuring() {
  trim_heap();
  reset_peak_rss();
  return rss();
}

ClientOptions options_for(const ServeProcess& server, const Protocol& protocol) {
  ClientOptions options;
  options.tls.ca_pem = server.ca_pem();
  options.version = protocol.version;
  return options;
}

}  // namespace

TEST_SUITE_BEGIN("backpressure");

TEST_CASE("Zeros, encoded, are held in bounded memory while the reader stands still") {
  const std::uint64_t size = sized<std::uint64_t>(16, 64, 1024) * kMiB;
  const std::string sha256 = sha256_of_zeros(size);
  for (const Protocol& protocol : kProtocols) {
    CAPTURE(protocol.name);
    ServeProcess server(protocol.tls, protocol.http2());
    Client client(options_for(server, protocol));
    CHECK(client.fetch(server.url("/bytes/1000000")).bytes().size() == 1'000'000);
    for (const std::string coding : kCodings) {
      CAPTURE(coding);
      const std::size_t before = start_measuring();
      Response response =
          client.fetch(server.url("/bytes/" + std::to_string(size) + "?zeros=1&encode=" + coding));
      Reader reader = response.body.reader();
      harness::Sha256 digest;
      std::uint64_t bytes = 0;
      std::size_t most = 0;
      const auto read = [&](std::uint64_t until) {
        while (bytes < until) {
          const auto chunk = reader.read();
          if (!chunk) break;
          digest.update(chunk->bytes());
          bytes += chunk->size();
          most = std::max(most, chunk->size());
        }
      };
      read(size / 4);
      let_pass(sized(std::chrono::milliseconds(50), std::chrono::milliseconds(200),
                     std::chrono::milliseconds(2000)));
      read(size + 1);
      CHECK(bytes == size);
      CHECK(digest.hex() == sha256);
      CHECK(most <= kSlab);
      CHECK(reader.stats().decoded == size);
      const std::size_t growth = growth_since(before);
      if (!under_sanitizer()) CHECK(growth < 10 * kMiB);
      MESSAGE(std::string(protocol.name), ", ", coding, ": ", mib(size), " of zeros, ",
              reader.stats().received, " bytes on the wire, RSS grew ", mib(growth));
    }
  }
}

TEST_CASE("An encoded body that does not compress is held at the same mark, and never wedges") {
  const std::uint64_t size = sized<std::uint64_t>(24, 48, 2048) * kMiB;
  for (const Protocol& protocol : kProtocols) {
    CAPTURE(protocol.name);
    ServeProcess server(protocol.tls, protocol.http2());
    Client client(options_for(server, protocol));
    CHECK(client.fetch(server.url("/bytes/1000000")).bytes().size() == 1'000'000);
    const std::size_t before = start_measuring();
    const std::string path = "/bytes/" + std::to_string(size) + "?seed=7&encode=gzip";
    Response response = client.fetch(server.url(path));
    Tally tally(7);
    Reader reader = response.body.reader();
    tally.read(reader, kMiB);
    do {
      REQUIRE(server.wait_until_blocked(path));
    } while (!reader.stats().paused);
    const BodyStats stalled = reader.stats();
    CHECK(stalled.queued >= kHighWater);
    CHECK(stalled.peak_queued < kHighWater + kOneWrite);
    CHECK(stalled.drained >= stalled.decoded);  // it does not compress
    CHECK(stalled.drained < stalled.decoded + 2 * kSlab);
    tally.read(reader);
    CHECK(tally.is_whole(size));
    CHECK(reader.stats().decoded == size);
    CHECK(reader.stats().pauses == reader.stats().resumes);
    CHECK(client.stats().queue_memory == 0);
    const std::size_t growth = growth_since(before);
    if (!under_sanitizer()) CHECK(growth < 10 * kMiB);
    MESSAGE(std::string(protocol.name), ": ", mib(size), " of gzip, RSS grew ", mib(growth));
  }
}

TEST_SUITE_END();
