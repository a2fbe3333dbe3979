#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <utility>

#include "backpressure/checked.hpp"
#include "interop/squid.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;
using harness::Firehose;

namespace {

constexpr Protocol kThroughIt[] = {{"h1", false, HttpVersion::http1},
                                   {"h1 + TLS", true, HttpVersion::http1},
                                   {"h2", true, HttpVersion::http2}};

/// A Firehose behind it, spoken to one way.
struct Setup {
  Setup(const Squid& squid, const Protocol& protocol, const std::string& userinfo = "")
      : server(protocol.server()), client(options(squid, protocol, userinfo)) {}

  ClientOptions options(const Squid& squid, const Protocol& protocol,
                        const std::string& userinfo) const {
    ClientOptions made = trusting(server, protocol);
    made.proxy = squid.url(userinfo);
    return made;
  }
  Response fetch(std::string_view path, RequestInit init = {}) {
    return client.fetch(server.url(path), std::move(init));
  }

  Firehose server;
  Client client;
};

}  // namespace

TEST_SUITE_BEGIN("interop");

TEST_CASE("squid: bodies of any size arrive whole through it, over one connection") {
  WEIR_NEEDS_SQUID();
  const Squid squid;
  for (const Protocol& protocol : kThroughIt) {
    CAPTURE(protocol.name);
    Setup at(squid, protocol);
    for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{16'384},
                                     std::uint64_t{1'000'003}, std::uint64_t{8 * kMiB}}) {
      CAPTURE(size);
      const std::string path = "/bytes/" + std::to_string(size) + "?seed=6";
      for (const char* how : {"", "&chunked=1"}) {
        Response response = at.fetch(path + how);
        CHECK(response.status == 200);
        CHECK(response.version == protocol.version);
        CHECK(response.headers.has("Via") == !protocol.tls);  // it sees plain http only
        Reader reader = response.body.reader();
        CHECK(Tally(6).read(reader).is_whole(size));
      }
    }
    CHECK(at.client.stats().connections_opened == 1);
    CHECK(at.fetch("/echo", {.body = std::string(30'000, 'x')}).text().size() == 30'000);
    CHECK(at.fetch("/bytes/100", {.method = "HEAD"}).text().empty());
    CHECK(at.fetch("/status/204").status == 204);
  }
}

TEST_CASE("squid: a body that is stalled and resumed is whole, and the server was stopped") {
  WEIR_NEEDS_SQUID();
  const Squid squid;
  const std::uint64_t size = sized<std::uint64_t>(64, 64, 512) * kMiB;
  for (const Protocol& protocol : kThroughIt) {
    CAPTURE(protocol.name);
    Setup at(squid, protocol);
    Reader reader = at.fetch("/bytes/" + std::to_string(size) + "?seed=8").body.reader();
    Tally tally(8);
    REQUIRE(tally.take(reader.read()));
    REQUIRE(at.server.wait_until_blocked());
    CHECK(reader.stats().paused);
    CHECK(reader.stats().queued <= kHighWater + kLastWrites);
    CHECK(at.server.stats().bytes_accepted < size);
    CHECK(tally.read(reader).is_whole(size));
    CHECK(balanced(at.client.stats()));
  }
}

TEST_CASE("squid: what it cannot reach it answers itself, or makes no tunnel to") {
  WEIR_NEEDS_SQUID();
  const Squid squid;
  const std::string nobody = "://127.0.0.1:" + std::to_string(Listener().port()) + "/";
  Client client({.proxy = squid.url()});
  Response response = client.fetch("http" + nobody);
  CHECK(response.status == 503);
  CHECK(response.text().size() > 0);
  try {
    client.fetch("https" + nobody);
    FAIL_CHECK("a tunnel to nobody");
  } catch (const Error& error) {
    CHECK(error.code() == errc::connect_failed);
    CHECK(error.detail().starts_with("proxy"));
  }
}

TEST_CASE("squid: gets the password that it wants") {
  WEIR_NEEDS_SQUID();
  if (!Squid::has_passwords()) {
    MESSAGE("SKIPPED: squid's basic_fake_auth is not installed");
    return;
  }
  const Squid squid(true);
  for (const Protocol& protocol : kThroughIt) {
    CAPTURE(protocol.name);
    Setup known(squid, protocol, "user:word@");
    CHECK(known.fetch("/status/200").status == 200);
    Setup unknown(squid, protocol);
    if (!protocol.tls) {
      CHECK(unknown.fetch("/status/200").status == 407);
      continue;
    }
    CHECK_THROWS_WITH_AS(unknown.fetch("/status/200"), doctest::Contains("proxy"), Error);
  }
}

TEST_SUITE_END();
