#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "backpressure/checked.hpp"
#include "backpressure/serve_process.hpp"
#include "backpressure/stall.hpp"
#include "backpressure/wire.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace std::chrono_literals;
using namespace weir;
using namespace weir::test;

namespace {

constexpr std::uint64_t kSeed = 7;

/// A body of the server in another process, and the client that stalls in it.
struct Row {
  std::string name;
  Protocol protocol = kProtocols[0];
  std::uint64_t size = 0;
  std::string more{};  // of the URL
  std::size_t high_water = kHighWater;
  std::uint64_t read_before = 0;
  double wire_per_body = 1;
  bool main = false;  // SHA-256, the bare socket, and a long stall at full size
};

const Protocol& kTls = kProtocols[1];
const Protocol& kH2c = kProtocols[2];
const Protocol& kH2 = kProtocols[3];

constexpr double framed(double payload) { return (payload + 9) / payload; }   // in DATA frames
constexpr double record(double payload) { return (payload + 22) / payload; }  // of TLS 1.3

void run_row(const Row& row) {
  CAPTURE(row.name);
  ServeProcess server(row.protocol.tls, row.protocol.http2());
  ClientOptions options;
  options.high_water = row.high_water;
  options.tls.ca_pem = server.ca_pem();
  options.version = row.protocol.version;
  Client client(options);
  CHECK(client.fetch(server.url("/bytes/1000000")).bytes().size() == 1'000'000);

  const std::string path =
      "/bytes/" + std::to_string(row.size) + "?seed=" + std::to_string(kSeed) + row.more;
  Stall stall;
  stall.url = server.url(path);
  stall.size = row.size;
  stall.seed = kSeed;
  stall.read_before = row.read_before;
  stall.mark = row.read_before == 0 ? kUnreadHighWater : row.high_water;
  stall.high_water = row.high_water;
  stall.wire_per_body = row.wire_per_body;
  if (row.main) stall.sha256 = harness::pattern::sha256(kSeed, 0, row.size);
  stall.wait_until_stuck = [&] { return server.wait_until_blocked(path); };
  stall.got_rid_of = [&] { return server.record(path).value().accepted; };
  if (row.main) stall.stand_still = sized(100ms, 500ms, 5000ms);
  if (row.main && !row.protocol.tls && !row.protocol.http2()) {
    stall.bare_share = [&](std::uint64_t received) -> std::optional<std::uint64_t> {
      const std::string other = path + "&tag=bare";
      BareSocket bare(server.port(), other);
      bare.read(received);
      if (!server.wait_until_blocked(other)) return std::nullopt;
      return server.record(other).value().accepted - bare.bytes_read();
    };
  }
  stall_inside(client, server.port(), stall, row.name);
}

}  // namespace

TEST_SUITE_BEGIN("backpressure");

TEST_CASE("A reader that stalls inside a large body holds the server, not memory") {
  const std::uint64_t size = sized<std::uint64_t>(64, 256, 1024) * kMiB;
  run_row({.name = "stall, plain", .size = size, .read_before = size / 4, .main = true});
  run_row({.name = "stall, TLS",
           .protocol = kTls,
           .size = size,
           .read_before = size / 4,
           .wire_per_body = record(16384),
           .main = true});
  run_row({.name = "stall, h2c",
           .protocol = kH2c,
           .size = size,
           .read_before = size / 4,
           .wire_per_body = framed(16384),
           .main = true});
  run_row({.name = "stall, h2",
           .protocol = kH2,
           .size = size,
           .read_before = size / 4,
           .wire_per_body = framed(16384) * record(16384),
           .main = true});
}

TEST_CASE("A server that writes 200 bytes at a time is held at the same mark") {
  const std::uint64_t size = sized<std::uint64_t>(24, 32, 256) * kMiB;
  run_row(
      {.name = "200-byte writes, plain", .size = size, .more = "&write=200", .read_before = kMiB});
  run_row({.name = "200-byte writes, TLS",
           .protocol = kTls,
           .size = size,
           .more = "&write=200",
           .read_before = kMiB,
           .wire_per_body = record(200)});
  run_row({.name = "200-byte chunks, plain",
           .size = size,
           .more = "&write=200&chunked=1",
           .read_before = kMiB,
           .wire_per_body = 206.0 / 200});
  run_row({.name = "200-byte frames, h2c",
           .protocol = kH2c,
           .size = size,
           .more = "&write=200",
           .read_before = kMiB,
           .wire_per_body = framed(200)});
  run_row({.name = "200-byte frames, h2",
           .protocol = kH2,
           .size = size,
           .more = "&write=200",
           .read_before = kMiB,
           .wire_per_body = framed(200) * record(209)});
}

TEST_CASE("A server that writes single bytes is held at the same mark") {
  const std::size_t high = sized(64 * kKiB, 128 * kKiB, kHighWater);
  run_row({.name = "1-byte chunks, plain",
           .size = high + 1280 * kKiB,
           .more = "&write=1&chunked=1",
           .high_water = high,
           .read_before = 10'000,
           .wire_per_body = 6});
  run_row({.name = "1-byte writes, TLS",
           .protocol = kTls,
           .size = high + 768 * kKiB,
           .more = "&write=1",
           .high_water = high,
           .read_before = 10'000,
           .wire_per_body = record(1)});
  if (test_size() != Size::full) return;  // the kernel joins them, which takes long to fill it
  run_row({.name = "1-byte writes, plain",
           .size = 7 * kMiB,
           .more = "&write=1",
           .high_water = 256 * kKiB,
           .read_before = 10'000});
}

TEST_CASE("A body that nobody reads stops at the unread mark") {
  const std::uint64_t size = sized<std::uint64_t>(24, 32, 256) * kMiB;
  run_row({.name = "unread, plain", .size = size});
  run_row({.name = "unread, TLS", .protocol = kTls, .size = size, .wire_per_body = record(16384)});
  run_row({.name = "unread, h2c", .protocol = kH2c, .size = size});
  run_row({.name = "unread, h2", .protocol = kH2, .size = size, .wire_per_body = record(16384)});
  run_row({.name = "unread, 200-byte writes", .size = size, .more = "&write=200"});
}

TEST_SUITE_END();
