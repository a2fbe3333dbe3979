#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "contract/transports.hpp"
#include "support/coroutine.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

// EventSource, against the server's /sse and /chat.

namespace {

/// Why connections were lost. Written on the continuation thread.
struct Lost {
  std::atomic<int> all{0};
  std::atomic<int> timed_out{0};
};

EventSourceOptions quick(Lost& lost) {
  EventSourceOptions options;
  options.retry = options.max_retry = 1ms;
  options.on_disconnect = [&lost](const Error& error) {
    ++lost.all;
    if (error.code() == errc::timed_out) ++lost.timed_out;
  };
  return options;
}

/// Each event's data is its number: how many came, and the first that did not follow.
struct Numbers {
  std::size_t count = 0;
  std::optional<std::size_t> wrong{};

  void take(const Event& event) {
    if (!wrong && (event.data != std::to_string(count) || event.id != event.data)) wrong = count;
    ++count;
  }
  bool operator==(std::size_t sent) const { return count == sent && !wrong; }
};

Numbers read_all(EventSource& events) {
  Numbers seen;
  for (const Event& event : events) seen.take(event);
  return seen;
}

Coroutine<Numbers> async_read_all(EventSource& events) {
  Numbers seen;
  while (const auto event = co_await events.async_next()) seen.take(*event);
  co_return seen;
}

}  // namespace

TEST_SUITE_BEGIN("contract");

TEST_CASE_TEMPLATE("EventSource: a server that closes after every event loses none", T,
                   WEIR_NETWORK_TRANSPORTS) {
  T transport;
  const std::string url = transport.url("/sse?events=20&ids=1&close_after=1");
  Lost lost;
  EventSource events(transport.client(), url, quick(lost));
  CHECK(read_all(events) == 20);
  CHECK(events.state() == EventSource::State::closed);
  CHECK(lost.all == 20);  // the 21st request was answered by 204
  EventSource awaited(transport.client(), url, quick(lost));
  CHECK(async_read_all(awaited).get() == 20);
  CHECK(balanced(transport.client().stats()));
}

TEST_CASE_TEMPLATE("EventSource: many events in a burst all come, over more than one connection", T,
                   WEIR_NETWORK_TRANSPORTS) {
  const std::size_t many = sized<std::size_t>(2000, 10'000, 50'000);
  T transport({.high_water = 65'536});
  Lost lost;
  const std::string url = transport.url("/sse?ids=1&burst=1&events=" + std::to_string(many) +
                                        "&close_after=" + std::to_string(many / 2));
  EventSource events(transport.client(), url, quick(lost));
  CHECK(read_all(events) == many);
  CHECK(lost.all == 2);
  CHECK(events.dropped() == 0);
}

TEST_CASE_TEMPLATE("EventSource: a connection that fell silent is noticed, and made again", T,
                   WEIR_NETWORK_TRANSPORTS) {
  T transport;
  Lost lost;
  EventSourceOptions options = quick(lost);
  options.idle_timeout = 50ms;
  EventSource events(transport.client(),
                     transport.url("/sse?events=3&ids=1&close_after=1&swallow_fin=1"),
                     std::move(options));
  CHECK(read_all(events) == 3);
  CHECK(lost.timed_out == 3);
}

TEST_CASE("EventSource: heartbeats keep a silent connection") {
  Http1 transport;
  Lost lost;
  EventSourceOptions options = quick(lost);
  options.idle_timeout = 1s;
  EventSource events(transport.client(), transport.url("/sse?events=0&heartbeat_ms=10&tag=beats"),
                     std::move(options));
  std::jthread reader([&] { events.next(); });
  const bool beat = transport.server().wait_for([](const harness::FirehoseStats& now) {
    return !now.bodies.empty() && now.bodies.back().bytes_accepted >= 150 * 13;
  });
  events.close();
  CHECK(beat);
  CHECK(lost.all == 0);
  CHECK(transport.client().stats().requests == 1);
}

TEST_CASE_TEMPLATE("EventSource: who is not asked stops the server with block, and not else", T,
                   WEIR_NETWORK_TRANSPORTS) {
  const std::string query = "/sse?ids=1&burst=1&size=4000&events=10000&tag=";  // 40 MB
  T transport({.high_water = 262'144});
  EventSource blocked(transport.client(), transport.url(query + "a"));
  CHECK(blocked.next());
  REQUIRE(transport.wait_until_blocked());
  CHECK(transport.client().stats().queue_memory <= 262'144 + 160 * 1024);
  CHECK(blocked.dropped() == 0);
  blocked.close();
  EventSourceOptions options;
  options.reconnect = Reconnect::never;
  options.overflow = Overflow::drop_oldest;
  options.max_pending_events = 7;
  EventSource dropping(transport.client(), transport.url(query + "b"), std::move(options));
  REQUIRE(eventually([&] { return dropping.state() == EventSource::State::closed; }));
  std::uint64_t delivered = 0;
  while (dropping.next()) ++delivered;
  CHECK(delivered == 7);
  CHECK(dropping.dropped() + delivered == 10'000);
}

TEST_CASE_TEMPLATE("EventSource: delivered and dropped make up what was sent, while it is read", T,
                   WEIR_NETWORK_TRANSPORTS) {
  const std::size_t many = sized<std::size_t>(5000, 20'000, 100'000);
  T transport;
  for (const Overflow overflow : {Overflow::drop_oldest, Overflow::drop_newest}) {
    EventSourceOptions options;
    options.reconnect = Reconnect::never;
    options.overflow = overflow;
    options.max_pending_events = 3;
    EventSource events(transport.client(),
                       transport.url("/sse?burst=1&events=" + std::to_string(many)),
                       std::move(options));
    std::uint64_t delivered = 0;
    while (events.next()) ++delivered;
    CHECK(delivered > 0);
    CHECK(events.dropped() + delivered == many);
  }
}

TEST_CASE_TEMPLATE("EventSource: close() from another thread ends what waits", T,
                   WEIR_NETWORK_TRANSPORTS) {
  T transport;
  EventSource blocked(transport.client(), transport.url("/sse?events=0"));
  std::jthread thread([&] {
    transport.wait_for_requests(1);
    blocked.close();
  });
  CHECK_FALSE(blocked.next());
  EventSource suspended(transport.client(), transport.url("/sse?events=0"));
  auto coroutine = async_read_all(suspended);
  transport.wait_for_requests(2);
  suspended.close();
  CHECK(coroutine.get() == 0);
  CHECK(transport.wait_until_quiet());
}

TEST_CASE_TEMPLATE("EventSource: many of one client, destroyed in whatever state they are", T,
                   WEIR_NETWORK_TRANSPORTS) {
  T transport;
  Lost lost;
  {
    std::vector<std::unique_ptr<EventSource>> all;
    for (int i = 0; i < 60; ++i) {
      const char* const path = i % 3 == 0   ? "/hang"
                               : i % 3 == 1 ? "/sse?events=9&close_after=1"
                                            : "/sse?size=5000";
      all.push_back(
          std::make_unique<EventSource>(transport.client(), transport.url(path), quick(lost)));
      if (i % 3 == 1) CHECK(all.back()->next());
      if (i >= 20) all[static_cast<std::size_t>(i) - 20].reset();
    }
    REQUIRE(eventually([&] { return lost.all > 0; }));
  }
  CHECK(transport.wait_until_quiet(100));
  CHECK(eventually([&] { return transport.client().stats().active == 0; }));
  CHECK(balanced(transport.client().stats()));
}

TEST_CASE_TEMPLATE("EventSource: asks a language model once", T, WEIR_NETWORK_TRANSPORTS) {
  T transport;
  EventSourceOptions options;
  options.init.body = "{}";
  options.reconnect = Reconnect::never;
  EventSource events(transport.client(), transport.url("/chat?tokens=2"), std::move(options));
  CHECK(events.next()->data == R"({"choices":[{"delta":{"content":"A"}}]})");
  CHECK(events.next()->data == R"({"choices":[{"delta":{"content":" slow"}}]})");
  CHECK(events.next()->data == "[DONE]");
  CHECK_FALSE(events.next());
  CHECK(transport.client().stats().requests == 1);
}

TEST_SUITE_END();
