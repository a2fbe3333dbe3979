#include <doctest/doctest.h>

#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "contract/transports.hpp"
#include "support/coroutine.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

// Server-sent events, which the server echoes.

namespace {

constexpr std::size_t kOneWrite = 16 * 1024;
constexpr std::size_t kAbove = 2 * kOneWrite;  // the write that completes a body is never refused
constexpr std::size_t kSlabs = 2 * 64 * 1024;

std::string data_of(std::size_t number) {
  return std::to_string(number) + std::string(number % 301, '.');
}

/// Events 0 to `count` - 1, with what a parser has to cope with.
std::string stream_of(std::size_t count) {
  std::string text = "\xEF\xBB\xBF";
  for (std::size_t i = 0; i < count; ++i) {
    const char* const end = i % 3 == 0 ? "\n" : i % 3 == 1 ? "\r\n" : "\r";
    if (i % 50 == 0) text.append(": \xE2\x82\xAC").append(end);
    text.append("id: ").append(std::to_string(i)).append(end);
    text.append("data: ").append(data_of(i)).append(end).append(end);
  }
  return text;
}

template <class T>
EventStream open(T& transport, std::string text, const SseLimits& limits = {}) {
  Response response = transport.client().fetch(transport.url("/echo"),
                                               {.method = "POST", .body = Body(std::move(text))});
  return EventStream(std::move(response.body), limits);
}

/// What asking for events brought: as many as that, each the one that was sent.
struct Events {
  std::size_t count = 0;
  std::optional<std::size_t> wrong{};
  std::optional<errc> error{};

  void take(const Event& event) {
    if (!wrong && (event.data != data_of(count) || event.id != std::to_string(count))) {
      wrong = count;
    }
    ++count;
  }
  bool operator==(std::size_t sent) const { return count == sent && !wrong && !error; }
};

Events read_on(EventStream& events, Events seen = {}) {
  try {
    while (const auto event = events.next()) seen.take(*event);
  } catch (const Error& error) {
    seen.error = static_cast<errc>(error.code().value());
  }
  return seen;
}

Coroutine<Events> async_read(EventStream& events) {
  Events seen;
  try {
    while (const auto event = co_await events.async_next()) seen.take(*event);
  } catch (const Error& error) {
    seen.error = static_cast<errc>(error.code().value());
  }
  co_return seen;
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("EventStream: brings every event, in order", T, WEIR_TRANSPORTS) {
    const std::size_t many = sized<std::size_t>(1000, 10'000, 50'000);
    T transport;
    EventStream events = open(transport, stream_of(many));
    CHECK(read_on(events) == many);
    CHECK(events.last_event_id() == std::to_string(many - 1));
    EventStream others = open(transport, stream_of(many));
    CHECK(async_read(others).get() == many);
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("EventStream: one that nobody asks stops the server, and then brings all", T,
                     WEIR_TRANSPORTS) {
    const std::size_t many = 150'000;  // 25 MB: more than the kernel holds
    const std::size_t high = 262'144;
    T transport({.high_water = high});
    EventStream events = open(transport, stream_of(many));
    Events seen;
    if (const auto event = events.next()) seen.take(*event);
    REQUIRE(eventually([&] { return events.stats().paused; }));
    const BodyStats stalled = events.stats();
    CHECK(stalled.received >= high);
    CHECK(stalled.peak_queued <= high + kAbove);
    CHECK(transport.client().stats().queue_memory <= high + kAbove + kSlabs);
    CHECK(read_on(events, seen) == many);
    const BodyStats done = events.stats();
    CHECK(done.pauses >= 1);
    CHECK(done.pauses == done.resumes);
    CHECK(done.peak_queued <= high + kAbove);
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("EventStream: a line without end is refused in bounded memory", T,
                     WEIR_TRANSPORTS) {
    T transport({.high_water = 262'144});
    EventStream events =
        open(transport, "id: 0\ndata: 0\n\n" + std::string(20'000'000, 'x'), {.line = 1'000'000});
    const Events seen = read_on(events);
    CHECK(seen.count == 1);
    CHECK(seen.error == errc::too_large);
    CHECK(events.stats().peak_queued <= 262'144 + kAbove);
    CHECK(transport.wait_until_quiet(1));
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("EventStream: cancel() ends what waits, blocked or suspended", T,
                     WEIR_TRANSPORTS) {
    T transport;
    const auto stalled = [&] {
      Response response =
          transport.client().fetch(transport.url("/bytes/1000000?stall_after=10&seed=1"));
      return EventStream(std::move(response.body));
    };
    EventStream suspended = stalled();
    auto coroutine = async_read(suspended);
    suspended.cancel();
    CHECK(coroutine.get().error == errc::aborted);
    EventStream blocked = stalled();
    std::jthread thread([&] { blocked.cancel(); });
    CHECK(read_on(blocked).error == errc::aborted);
  }
}
