#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <utility>

#include "contract/transports.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

namespace {

/// So many connections were opened, if it reuses them.
template <class T>
void check_connections(T& transport, std::uint64_t count) {
  const ClientStats stats = transport.client().stats();
  CHECK(stats.connections_opened == (T::reuses() ? count : stats.requests));
}

template <class T>
void wait_until_idle(T& transport) {
  REQUIRE(eventually([&] { return transport.client().stats().active == 0; }));
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("Client: requests in a row use one connection", T, WEIR_TRANSPORTS) {
    T transport;
    for (const auto path : {"/bytes/1000", "/bytes/100000?chunked=1", "/status/404", "/bytes/0",
                            "/bytes/0?status=204", "/bytes/3000000"}) {
      CAPTURE(path);
      Response response = transport.client().fetch(transport.url(path));
      response.bytes();
      Response echo = transport.client().fetch(transport.url("/echo"), {.body = "hello"});
      CHECK(echo.text() == "hello");
    }
    check_connections(transport, 1);
    CHECK(transport.wait_until_quiet(1));
  }

  TEST_CASE_TEMPLATE("Client: 480 requests, paused and not, use one connection and never hang", T,
                     WEIR_TRANSPORTS) {
    T transport({.high_water = 65'536, .unread_high_water = 32'768});
    const std::uint64_t rounds = sized(60U, 480U, 480U);
    for (std::uint64_t round = 0; round < rounds; ++round) {
      CAPTURE(round);
      const std::uint64_t size = 300'000 + round;
      Response response = transport.client().fetch(
          transport.url("/bytes/" + std::to_string(size) + "?seed=" + std::to_string(round)));
      if (round % 2 == 0) REQUIRE(eventually([&] { return response.body.stats().paused; }));
      REQUIRE(read_all(response, round) == size);
    }
    check_connections(transport, 1);
    const ClientStats stats = transport.client().stats();
    CHECK(stats.requests == rounds);
    CHECK(stats.pauses >= rounds / 2);
    CHECK(balanced(stats));
  }

  TEST_CASE_TEMPLATE("Client: a small rest of a dropped body saves its connection", T,
                     WEIR_TRANSPORTS) {
    T transport;
    for (const auto path : {"/bytes/0", "/bytes/1000", "/bytes/60000"}) {
      CAPTURE(path);
      transport.client().fetch(transport.url(path));
      wait_until_idle(transport);
    }
    check_connections(transport, 1);
  }

  TEST_CASE_TEMPLATE("Client: a large rest of a dropped body costs its connection", T,
                     WEIR_TRANSPORTS) {
    T transport;
    transport.client().fetch(transport.url("/bytes/100000000"));
    wait_until_idle(transport);
    CHECK(transport.client().fetch(transport.url("/status/200")).text() == "200\n");
    check_connections(transport, 2);
    CHECK(transport.wait_until_quiet(1));
  }

  TEST_CASE_TEMPLATE("Client: stalled bodies do not push idle connections out", T,
                     WEIR_TRANSPORTS) {
    T transport({.max_idle_connections = 1});
    std::vector<Response> stalled;
    const std::uint64_t count = sized(10U, 30U, 150U);
    for (std::uint64_t body = 0; body < count; ++body) {
      stalled.push_back(transport.client().fetch(transport.url("/bytes/100000000")));
    }
    check_connections(transport, count);
    for (int round = 0; round < 100; ++round) {
      CHECK(transport.client().fetch(transport.url("/bytes/1000")).bytes().size() == 1'000);
    }
    check_connections(transport, count + 1);
  }

  TEST_CASE_TEMPLATE("fetch: a reused connection that was closed costs a GET nothing", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    const auto path = "/close?before=headers&how=fin&reused=1";
    CHECK(transport.client().fetch(transport.url(path)).ok());
    CHECK(transport.client().fetch(transport.url(path)).ok());
    check_connections(transport, 2);
  }

  TEST_CASE_TEMPLATE("fetch: a reused connection that was closed fails a POST, which is sent once",
                     T, WEIR_NETWORK_TRANSPORTS) {
    T transport;
    const auto path = "/close?before=headers&how=fin&reused=1";
    CHECK(transport.client().fetch(transport.url(path)).ok());
    const auto error = error_of(
        [&] { transport.client().fetch(transport.url(path), {.method = "POST", .body = "x"}); });
    REQUIRE(error.has_value() == T::reuses());
    CHECK(transport.server().stats().requests == 2);
    if (!error) return;  // it had a connection of its own
    CHECK(error->code() == errc::connection_lost);
    CHECK(error->retryable());
  }
}
