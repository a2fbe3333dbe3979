#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "contract/transports.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;
using harness::Firehose;

namespace {

ClientOptions limited(int all, int per_host = 0) {
  ClientOptions options;
  options.max_connections = all;
  options.max_connections_per_host = per_host;
  return options;
}

/// A body of which something comes, and then nothing more.
const std::string kStalled = "/bytes/1000000?stall_after=500";

bool wait_for_queued(Client& client, std::uint64_t count) {
  return eventually([&] { return client.stats().queued == count; });
}

}  // namespace

TEST_SUITE_BEGIN("contract");

TEST_CASE_TEMPLATE("max_connections: a request waits until a body before it is over", T,
                   WEIR_NETWORK_TRANSPORTS) {
  T transport(limited(2));
  Client& client = transport.client();
  std::optional<Response> first = client.fetch(transport.url(kStalled));
  std::optional<Response> second = client.fetch(transport.url(kStalled + "&tag=2"));
  PendingResponse third = client.async_fetch(transport.url("/bytes/1000?tag=3"), {});
  PendingResponse fourth = client.async_fetch(transport.url("/bytes/1000?tag=4"), {});
  REQUIRE(wait_for_queued(client, 2));
  CHECK(client.stats().active == 4);
  CHECK(client.stats().connections_open == 2);
  CHECK(transport.server().stats().requests == 2);
  second.reset();
  Response response = third.get();
  CHECK(read_all(response) == 1000);
  response = fourth.get();
  CHECK(read_all(response) == 1000);
  CHECK(client.stats().queued == 0);
  first.reset();
  CHECK(transport.wait_until_quiet(2));
  CHECK(client.stats().connections_open <= 2);
}

TEST_CASE_TEMPLATE("max_connections: those who wait are served in the order of their calls", T,
                   Http1, Http2) {
  T transport(limited(1));
  Client& client = transport.client();
  std::optional<Response> first = client.fetch(transport.url(kStalled));
  std::vector<PendingResponse> waiting;
  std::vector<std::string> paths;
  for (int i = 0; i < 20; ++i) {
    paths.push_back("/bytes/10?tag=" + std::to_string(i));
    waiting.push_back(client.async_fetch(transport.url(paths.back()), {}));
  }
  REQUIRE(wait_for_queued(client, 20));
  first.reset();
  for (auto& pending : waiting) CHECK(pending.get().text().size() == 10);
  std::vector<std::string> served;
  for (const auto& body : transport.server().stats().bodies) served.push_back(body.path);
  REQUIRE(served.size() == 21);
  CHECK(std::equal(paths.begin(), paths.end(), served.begin() + 1));
}

TEST_CASE("max_connections: waiting counts in headers_timeout, with a body as well") {
  Http1 transport(limited(1));
  Client& client = transport.client();
  const Response first = client.fetch(transport.url(kStalled));
  for (const bool post : {false, true}) {
    CAPTURE(post);
    const auto error = error_of([&] {
      client.fetch(transport.url("/status/200"),
                   {.body = post ? Body("order") : Body(), .headers_timeout = 50ms});
    });
    REQUIRE(error);
    CHECK(error->code() == errc::timed_out);
    CHECK(contains(error->detail(), "headers_timeout"));
    CHECK(error->retryable());
  }
  const auto total =
      error_of([&] { client.fetch(transport.url("/status/200"), {.total_timeout = 50ms}); });
  REQUIRE(total);
  CHECK(contains(total->detail(), "total_timeout"));
  CHECK(client.stats().queued == 0);
  CHECK(transport.server().stats().requests == 1);
}

TEST_CASE("max_connections: connect_timeout does not run while a request waits") {
  ClientOptions options = limited(1);
  options.connect_timeout = 50ms;
  Http1 transport(options);
  Client& client = transport.client();
  std::optional<Response> first = client.fetch(transport.url(kStalled));
  PendingResponse waiting = client.async_fetch(transport.url("/status/200"), {});
  // Outlives that timeout several times.
  CHECK(code_of([&] { client.fetch(transport.url("/status/200"), {.headers_timeout = 250ms}); }) ==
        errc::timed_out);
  CHECK(client.stats().queued == 1);
  first.reset();
  Response response = waiting.get();
  CHECK(response.ok());
  CHECK(response.timings.first_byte >= 250ms);  // from the call of fetch()
}

TEST_CASE("max_connections: who waits can be stopped, dropped, or lose the client") {
  Http1 transport(limited(1));
  Client& client = transport.client();
  std::optional<Response> first = client.fetch(transport.url(kStalled));
  std::stop_source stop;
  PendingResponse stopped =
      client.async_fetch(transport.url("/status/200"), {.stop = stop.get_token()});
  std::optional<PendingResponse> dropped = client.async_fetch(transport.url("/status/200"));
  PendingResponse served = client.async_fetch(transport.url("/status/200"), {});
  PendingResponse orphan = client.async_fetch(transport.url("/hang"), {});
  PendingResponse last = client.async_fetch(transport.url("/status/200"), {});
  REQUIRE(wait_for_queued(client, 5));
  stop.request_stop();
  CHECK(code_of([&] { stopped.get(); }) == errc::aborted);
  dropped.reset();
  REQUIRE(wait_for_queued(client, 3));
  first.reset();
  CHECK(served.get().ok());
  REQUIRE(transport.wait_for_requests(3));
  transport.destroy_client();
  CHECK(code_of([&] { orphan.get(); }) == errc::aborted);
  CHECK(code_of([&] { last.get(); }) == errc::aborted);
  CHECK(transport.server().stats().requests == 3);
}

TEST_CASE("max_connections_per_host: other hosts are served meanwhile") {
  const Firehose one;
  const Firehose other;
  Client client(limited(0, 1));
  std::optional<Response> held = client.fetch(one.url(kStalled));
  PendingResponse waiting = client.async_fetch(one.url("/status/200"), {});
  REQUIRE(wait_for_queued(client, 1));
  for (int i = 0; i < 3; ++i) CHECK(client.fetch(other.url("/status/200")).ok());
  CHECK(client.stats().queued == 1);
  held.reset();
  CHECK(waiting.get().ok());
  CHECK(one.stats().connections_opened == 2);
}

TEST_CASE("max_connections_per_host: what is given back at once goes to those who wait for it") {
  const Firehose one;
  const Firehose other;
  Client client(limited(4, 2));
  std::vector<Response> held;
  for (int i = 0; i < 2; ++i) held.push_back(client.fetch(one.url(kStalled)));
  for (int i = 0; i < 2; ++i) held.push_back(client.fetch(other.url(kStalled)));
  std::vector<PendingResponse> in_front;
  for (int i = 0; i < 20; ++i) in_front.push_back(client.async_fetch(one.url("/status/200"), {}));
  std::vector<PendingResponse> behind;
  for (int i = 0; i < 20; ++i) behind.push_back(client.async_fetch(other.url("/status/200"), {}));
  REQUIRE(wait_for_queued(client, 40));
  held.resize(2);
  for (auto& pending : behind) CHECK(pending.get().ok());
  CHECK(client.stats().queued == 20);
  held.clear();
  for (auto& pending : in_front) CHECK(pending.get().ok());
  CHECK(other.stats().connections_opened <= 4);  // two that were held, and two at a time
}

TEST_CASE_TEMPLATE("max_connections: redirects need no second connection, whoever waits", T, Http1,
                   Https1, Http2) {
  T transport(limited(1, 1));
  Client& client = transport.client();
  std::vector<PendingResponse> all;
  for (int i = 0; i < 10; ++i) {
    all.push_back(client.async_fetch(transport.url("/redirect/5?body=100&tag=1"), {}));
  }
  for (auto& pending : all) {
    Response response = pending.get();
    CHECK(response.status == 200);
    CHECK(response.redirected);
    response.text();
  }
  CHECK(client.stats().redirects == 50);
}

TEST_CASE("max_connections: an idle connection gives way to one to another host") {
  const Firehose one;
  const Firehose other;
  Client client(limited(1));
  for (int i = 0; i < 3; ++i) {
    CHECK(client.fetch(one.url("/bytes/1000")).text().size() == 1000);
    CHECK(client.fetch(other.url("/bytes/1000")).text().size() == 1000);
    CHECK(client.stats().connections_open <= 1);
  }
}

TEST_CASE_TEMPLATE("max_connections: many threads share a few connections, and none is forgotten",
                   T, WEIR_NETWORK_TRANSPORTS) {
  constexpr int kThreads = 8;
  constexpr int kLimit = 3;
  const int rounds = sized(10, 40, 400);
  T transport(limited(kLimit));
  std::atomic<int> whole{0};
  std::atomic<std::uint64_t> most{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < rounds; ++round) {
        const bool drops = (i + round) % 4 == 0;
        Response response =
            transport.client().fetch(transport.url(drops ? "/bytes/9000000" : "/bytes/30000"));
        if (drops || response.text().size() == 30'000) ++whole;
        const std::uint64_t open = transport.client().stats().connections_open;
        for (std::uint64_t seen = most; seen < open && !most.compare_exchange_weak(seen, open);)
          continue;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(whole == kThreads * rounds);
  CHECK(most <= kLimit);
  CHECK(transport.client().stats().queued == 0);
  CHECK(eventually([&] { return transport.client().stats().active == 0; }));
}

TEST_SUITE_END();
