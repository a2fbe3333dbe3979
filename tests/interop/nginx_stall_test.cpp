#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "backpressure/checked.hpp"
#include "backpressure/stall.hpp"
#include "backpressure/wire.hpp"
#include "interop/nginx.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace std::chrono_literals;
using namespace weir;
using namespace weir::test;

namespace {

constexpr std::uint64_t kSeed = 12;
constexpr std::uint64_t kWarmUp = 16 * kMiB;

/// What nginx got rid of cannot be asked of it; but it is what the client's kernel has received and
/// what still waits in the server's.
std::uint64_t sent_by(std::uint16_t port) {
  return received_from(port) + kernel_queues(port).at_server;
}

void stall_on(Nginx& nginx, const Protocol& protocol, std::uint64_t size,
              std::uint64_t read_before) {
  const bool tls = protocol.tls;
  const std::uint16_t port = nginx.port(tls);
  ClientOptions options;
  options.tls.ca_file = nginx.ca_file();
  options.version = protocol.version;
  Client client(options);
  CHECK(client.fetch(nginx.url(tls, "/files/one")).bytes().size() == 1);
  // What TLS makes of a byte depends on how nginx fills its records, so it is measured.
  const std::uint64_t start = sent_by(port);
  CHECK(client.fetch(nginx.url(tls, "/files/warm")).bytes().size() == kWarmUp);
  const std::uint64_t before = sent_by(port);  // by this connection
  const double wire_per_body = static_cast<double>(before - start) / static_cast<double>(kWarmUp);

  Stall stall;
  stall.url = nginx.url(tls, "/files/large");
  stall.size = size;
  stall.seed = kSeed;
  stall.sha256 = harness::pattern::sha256(kSeed, 0, size);
  stall.read_before = read_before;
  stall.mark = read_before == 0 ? kUnreadHighWater : kHighWater;
  stall.wire_per_body = wire_per_body;
  if (tls) stall.uncertainty = read_before / 2000;  // 0.05 % of it
  stall.wait_until_stuck = [&] { return wait_until_still(port); };
  stall.got_rid_of = [&] {
    return static_cast<std::uint64_t>(static_cast<double>(sent_by(port) - before) /
                                      stall.wire_per_body);
  };
  stall.stand_still = sized(100ms, 500ms, 5000ms);
  if (!tls) {
    stall.bare_share = [&](std::uint64_t received) -> std::optional<std::uint64_t> {
      const std::uint64_t others = kernel_queues(port).total();
      BareSocket bare(port, "/files/large");
      bare.read(received);
      if (!wait_until_still(port)) return std::nullopt;
      return kernel_queues(port).total() - others;
    };
  }
  const std::string what = read_before == 0 ? "nginx, unread" : "nginx, stall";
  stall_inside(client, port, stall, what + over(protocol));
}

}  // namespace

TEST_SUITE_BEGIN("interop");

TEST_CASE("nginx: a reader that stalls inside a large file holds the server, not memory") {
  WEIR_NEEDS_NGINX();
  const std::uint64_t size = sized<std::uint64_t>(64, 256, 1024) * kMiB;
  harness::Firehose behind;
  Nginx nginx(behind);
  nginx.make_file("one", kSeed, 1);
  nginx.make_file("warm", kSeed, kWarmUp);
  nginx.make_file("large", kSeed, size);
  for (const Protocol& protocol : kNginxProtocols) {
    CAPTURE(protocol.name);
    stall_on(nginx, protocol, size, size / 4);
    stall_on(nginx, protocol, size, 0);
  }
}

TEST_SUITE_END();
