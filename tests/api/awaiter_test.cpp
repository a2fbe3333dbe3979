#include "weir/awaiter.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/async_fixture.hpp"
#include "api/scripted_stream.hpp"
#include "support/memory.hpp"
#include "support/sweep.hpp"

using namespace weir;
using namespace weir::test;

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

Deadline in(steady_clock::duration time) { return steady_clock::now() + time; }

}  // namespace

TEST_SUITE_BEGIN("api");

TEST_CASE("async_read: what is there is brought without a suspension, and without a thread") {
  const std::size_t threads = thread_count();
  AsyncFixture fixture;
  auto [reader, transfer] = fixture.open();
  transfer.send("abc");
  auto first = read_once(reader);
  REQUIRE(first.done());
  CHECK(first.get() == "abc");
  SUBCASE("the end") {
    transfer.end();
    auto last = read_once(reader);
    REQUIRE(last.done());
    CHECK(last.get() == std::nullopt);
    auto again = read_once(reader);
    REQUIRE(again.done());
    CHECK(again.get() == std::nullopt);
  }
  SUBCASE("a failure, each time") {
    transfer.fail({.code = errc::truncated});
    for (int i = 0; i < 2; ++i) {
      auto last = read_once(reader);
      REQUIRE(last.done());
      CHECK(code_of([&] { last.get(); }) == errc::truncated);
    }
  }
  SUBCASE("a cancel") {
    reader.cancel();
    auto last = read_once(reader);
    REQUIRE(last.done());
    CHECK(code_of([&] { last.get(); }) == errc::aborted);
  }
  SUBCASE("a deadline that has passed") {
    auto last = read_once_until(reader, Deadline{});
    REQUIRE(last.done());
    CHECK(last.get().status == ReadStatus::pending);
  }
  SUBCASE("a stop that was requested") {
    std::stop_source stop;
    stop.request_stop();
    auto last = read_once_until(reader, Deadline::max(), stop.get_token());
    REQUIRE(last.done());
    CHECK(last.get().status == ReadStatus::stopped);
  }
  CHECK(thread_count() == threads);
}

TEST_CASE("async_read: suspends until something comes, and goes on on the continuation thread") {
  AsyncFixture fixture;
  auto [reader, transfer] = fixture.open();
  struct Where {
    static Coroutine<std::string> read(Reader& from) {
      co_await from.async_read();
      co_return thread_name();
    }
  };
  auto where = Where::read(reader);
  CHECK_FALSE(where.done());
  SUBCASE("bytes") { fixture.send(transfer, "a"); }
  SUBCASE("the end") { fixture.end(transfer); }
  CHECK(where.get() == "weir-resume");
}

TEST_CASE("async_read: brings all bytes in order at every fragment size, and then the end") {
  const std::string text = "The quick brown fox jumps over the lazy dog, twice over the lake.";
  sweep(text, [&](const auto& pieces) {
    AsyncFixture fixture;
    auto [reader, transfer] = fixture.open();
    auto all = read_to_end(reader);
    for (const auto piece : pieces) fixture.send(transfer, piece);
    CHECK_FALSE(all.done());
    fixture.end(transfer);
    CHECK(all.get() == text);
    CHECK(reader.stats().drained == text.size());
  });
}

TEST_CASE("async_read: a failure comes after the bytes, and knows its URL") {
  AsyncFixture fixture;
  auto [reader, transfer] = fixture.open();
  auto first = read_once(reader);
  transfer.send("abc");
  transfer.fail({.code = errc::truncated});
  fixture.driver->run_until_idle();
  CHECK(first.get() == "abc");
  auto second = read_once(reader);
  try {
    second.get();
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.code() == errc::truncated);
    CHECK(error.url() == kShown);
    CHECK(error.status() == 200);
    CHECK(error.bytes_received() == 3);
  }
}

TEST_CASE("async_read: a cancel ends one that is suspended") {
  AsyncFixture fixture;
  std::stop_source stop;
  auto [reader, transfer] = fixture.open({.stop = stop.get_token()});
  auto waiting = read_once(reader);
  CHECK_FALSE(waiting.done());
  SUBCASE("by the reader") { reader.cancel(); }
  SUBCASE("by the request's stop") { stop.request_stop(); }
  CHECK(code_of([&] { waiting.get(); }) == errc::aborted);
  fixture.driver->run_until_idle();
  CHECK(transfer.cancelled() == 1);
}

TEST_CASE("async_read: its own stop throws aborted and leaves the body unharmed") {
  AsyncFixture fixture;
  auto [reader, transfer] = fixture.open();
  std::stop_source stop;
  SUBCASE("while it is suspended") {
    auto waiting = read_once(reader, stop.get_token());
    CHECK_FALSE(waiting.done());
    stop.request_stop();
    CHECK(code_of([&] { waiting.get(); }) == errc::aborted);
  }
  SUBCASE("before, though there are bytes") {
    transfer.send("abc");
    stop.request_stop();
    auto ready = read_once(reader, stop.get_token());
    REQUIRE(ready.done());
    try {
      ready.get();
      FAIL("nothing was thrown");
    } catch (const Error& error) {
      CHECK(error.code() == errc::aborted);
      CHECK(error.url() == kShown);
    }
    CHECK(read_what_is_there(reader) == "abc");
  }
  SUBCASE("after it, when it changes nothing") {
    auto waiting = read_once(reader, stop.get_token());
    fixture.send(transfer, "abc");
    CHECK(waiting.get() == "abc");
    stop.request_stop();
  }
  auto rest = read_to_end(reader);
  fixture.send(transfer, "the rest");
  fixture.end(transfer);
  CHECK(rest.get() == "the rest");
  CHECK(transfer.cancelled() == 0);
}

TEST_CASE("async_read_until: data, end, pending or stopped, and the body is unharmed") {
  AsyncFixture fixture;
  auto [reader, transfer] = fixture.open();
  std::stop_source stop;
  SUBCASE("late while suspended") {
    auto late = read_once_until(reader, in(milliseconds(5)));
    CHECK(late.get().status == ReadStatus::pending);
  }
  SUBCASE("late before, and nothing is there") {
    auto late = read_once_until(reader, in(-hours(1)));
    REQUIRE(late.done());
    CHECK(late.get().status == ReadStatus::pending);
  }
  SUBCASE("late before, and something is there") {
    fixture.send(transfer, "early");
    auto late = read_once_until(reader, in(-hours(1)));
    REQUIRE(late.done());
    CHECK(late.get().chunk.text() == "early");
  }
  SUBCASE("stopped while suspended") {
    auto stopped = read_once_until(reader, in(hours(1)), stop.get_token());
    CHECK_FALSE(stopped.done());
    stop.request_stop();
    CHECK(stopped.get().status == ReadStatus::stopped);
  }
  SUBCASE("in time") {
    auto data = read_once_until(reader, in(hours(1)), stop.get_token());
    CHECK_FALSE(data.done());
    fixture.send(transfer, "early");
    CHECK(data.get().chunk.text() == "early");
  }
  auto all = read_to_end(reader);
  fixture.send(transfer, "whole");
  fixture.end(transfer);
  CHECK(all.get() == "whole");
  auto end = read_once_until(reader, in(hours(1)));
  REQUIRE(end.done());
  CHECK(end.get().status == ReadStatus::end);
}

TEST_CASE("async_read_until: many in a row may run out of time, and every byte arrives") {
  AsyncFixture fixture;
  auto [reader, transfer] = fixture.open();
  struct Patient {
    static Coroutine<int> read(Reader& from, std::string& text) {
      int late = 0;
      for (;;) {
        const ReadResult result = co_await from.async_read_until(in(milliseconds(1)));
        if (result.status == ReadStatus::end) co_return late;
        if (result.status == ReadStatus::pending) ++late;
        text += result.chunk.text();
      }
    }
  };
  std::string all, sent;
  auto patient = Patient::read(reader, all);
  for (int i = 0; i < 300; ++i) {
    fixture.send(transfer, std::to_string(i));
    sent += std::to_string(i);
    std::this_thread::yield();
  }
  fixture.end(transfer);
  CHECK(patient.get() >= 0);
  CHECK(all == sent);
}

TEST_CASE("read_until: a deadline gives pending, a stop gives stopped, and the body is whole") {
  AsyncFixture fixture;
  auto [reader, transfer] = fixture.open();
  std::stop_source stop;
  SUBCASE("late") { CHECK(reader.read_until(in(milliseconds(5))).status == ReadStatus::pending); }
  SUBCASE("late before, and nothing is there") {
    CHECK(reader.read_until(Deadline{}).status == ReadStatus::pending);
  }
  SUBCASE("late before, and something is there") {
    transfer.send("early");
    CHECK(reader.read_until(Deadline{}).chunk.text() == "early");
  }
  SUBCASE("stopped before, though something is there") {
    transfer.send("kept ");
    stop.request_stop();
    CHECK(reader.read_until(in(hours(1)), stop.get_token()).status == ReadStatus::stopped);
    CHECK(reader.read_until(Deadline::max(), stop.get_token()).status == ReadStatus::stopped);
    CHECK(reader.read_until(Deadline{}, stop.get_token()).status == ReadStatus::stopped);
    CHECK(read_what_is_there(reader) == "kept ");
  }
  SUBCASE("stopped while it waits") {
    auto waiting = std::async(std::launch::async, [&, &body = reader] {
      return body.read_until(Deadline::max(), stop.get_token()).status;
    });
    stop.request_stop();
    CHECK(waiting.get() == ReadStatus::stopped);
  }
  SUBCASE("data in time") {
    auto waiting = std::async(std::launch::async, [&, &body = reader] {
      return std::string(body.read_until(in(hours(1)), stop.get_token()).chunk.text());
    });
    fixture.send(transfer, "early");
    CHECK(waiting.get() == "early");
    stop.request_stop();
  }
  SUBCASE("the end, a failure") {
    transfer.send("x");
    transfer.fail({.code = errc::truncated});
    CHECK(reader.read_until(Deadline{}).chunk.text() == "x");
    CHECK(code_of([&, &body = reader] { (void)body.read_until(in(hours(1))); }) == errc::truncated);
    return;
  }
  transfer.send("whole");
  transfer.end();
  CHECK(read_what_is_there(reader) == "whole");
  CHECK(reader.read_until(in(hours(1))).status == ReadStatus::end);
}

TEST_CASE("async_read: a reader that waits holds no memory, and raises the unread mark") {
  AsyncFixture fixture({.high_water = 100'000, .unread_high_water = 1'000});
  auto [reader, transfer] = fixture.open();
  auto waiting = read_once(reader);
  CHECK_FALSE(waiting.done());
  fixture.send(transfer, std::string(1'000, 'x'));
  CHECK(waiting.get()->size() == 1'000);
  for (int i = 0; i < 3; ++i) {
    auto next = read_once(reader);
    CHECK_FALSE(next.done());
    CHECK(fixture.client->stats().queue_memory == 0);
    fixture.send(transfer, "more");
    CHECK(next.get() == "more");
  }
  CHECK(transfer.send(std::string(50'000, 'x')) == flow::Channel::Offer::accepted);
  CHECK(transfer.send("y") == flow::Channel::Offer::accepted);
  CHECK(reader.stats().pauses == 0);
}

TEST_CASE("async_read: an awaiter may be named, and awaited again") {
  AsyncFixture fixture;
  auto [reader, transfer] = fixture.open();
  struct Named {
    static Coroutine<std::string> read(Reader& from) {
      AsyncRead next = from.async_read();
      std::string all;
      while (const auto chunk = co_await next) all += chunk->text();
      const AsyncRead unused = from.async_read();
      co_return all;
    }
  };
  auto named = Named::read(reader);
  for (const char* piece : {"a", "b", "c"}) fixture.send(transfer, piece);
  fixture.end(transfer);
  CHECK(named.get() == "abc");
}

TEST_CASE("async_read: of what is in memory never suspends") {
  Reader reader = Body("text").reader();
  auto all = read_to_end(reader);
  REQUIRE(all.done());
  CHECK(all.get() == "text");
  auto end = read_once_until(reader, Deadline{});
  CHECK(end.get().status == ReadStatus::end);
}

TEST_CASE("async_read: of a Reader that was moved from throws body_used, at the call") {
  Reader reader = Body("text").reader();
  const Reader taken = std::move(reader);
  // NOLINTBEGIN(bugprone-use-after-move): that is what is asked
  CHECK(code_of([&] { (void)reader.async_read(); }) == errc::body_used);
  CHECK(code_of([&] { (void)reader.async_read_until(Deadline{}); }) == errc::body_used);
  // NOLINTEND(bugprone-use-after-move)
}

TEST_CASE("Body: text() and bytes() are not held up by a small high water, but by the unread one") {
  constexpr std::size_t kWrite = 16'384;
  constexpr int kWrites = 40;
  for (const bool paused_before : {false, true}) {
    for (const bool as_text : {false, true}) {
      CAPTURE(paused_before);
      CAPTURE(as_text);
      AsyncFixture fixture({.high_water = 4, .unread_high_water = 2});
      auto pending = fixture.client->async_fetch(kUrl);
      FakeTransfer& transfer = fixture.driver->next();
      transfer.head(200);
      Response response = pending.get();
      transfer.send("abc");
      if (paused_before) CHECK(transfer.send("d") == flow::Channel::Offer::paused);
      const std::size_t first = paused_before ? 4 : 3;
      auto size = std::async(std::launch::async, [&response, as_text] {
        return as_text ? response.text().size() : response.bytes().size();
      });
      // Until it says that it reads, the unread mark is in force.
      while (fixture.client->stats().bytes_received < first || transfer.paused()) {
        fixture.driver->run_until_idle();
      }
      while (response.body.stats().drained < first) std::this_thread::yield();
      for (int i = 0; i < kWrites; ++i) transfer.send(std::string(kWrite, 'a'));
      transfer.end();
      fixture.driver->run_until_idle();
      CHECK(size.get() == first + kWrites * kWrite);
      CHECK(fixture.client->stats().pauses == (paused_before ? 1 : 0));
    }
  }
}

TEST_SUITE_END();
