#include "weir/sse.hpp"

#include <doctest/doctest.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/async_fixture.hpp"
#include "api/scripted_stream.hpp"
#include "sse/source_fixture.hpp"
#include "support/threads.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// Never connects again within a test.
EventSourceOptions patient(std::promise<errc>& lost) {
  EventSourceOptions options;
  options.retry = options.max_retry = 24h;
  options.on_disconnect = [&lost](const Error& error) {
    lost.set_value(static_cast<errc>(error.code().value()));
  };
  return options;
}

/// All that is there, and a '.' for the end.
std::string drain(EventSource& events) {
  std::string all;
  while (const auto event = events.next()) all += event->data;
  return all + '.';
}

Coroutine<std::string> async_drain(EventSource& events) {
  std::string all;
  while (const auto event = co_await events.async_next()) all += event->data;
  co_return all + '.';
}

Coroutine<std::optional<errc>> block_after_one(EventSource& events) {
  co_await events.async_next();
  co_return code_of([&] { events.next(); });
}

}  // namespace

TEST_SUITE_BEGIN("sse");

TEST_CASE("EventSource: brings events, and says in which state it is") {
  Server server;
  EventSource events(*server.client, kUrl);
  CHECK(events.state() == State::connecting);
  CHECK(events.try_next().status == ReadStatus::pending);
  FakeTransfer& transfer = server.accept("id:1\ndata:a\n\n");
  CHECK(events.next()->data == "a");
  CHECK(events.state() == State::open);
  CHECK(events.try_next().status == ReadStatus::pending);
  CHECK(events.next_until(std::chrono::steady_clock::now()).status == ReadStatus::pending);
  std::stop_source stop;
  stop.request_stop();
  CHECK(events.next_until(Deadline::max(), stop.get_token()).status == ReadStatus::stopped);
  server.send(transfer, "event:x\ndata:b\n\n");
  const auto event = events.next();
  CHECK(event->data == "b");
  CHECK(event->type == "x");
  CHECK(event->id == "1");
  events.close();
  CHECK(events.state() == State::closed);
  CHECK_FALSE(events.next());
}

TEST_CASE("EventSource: connects again with the last id, and the same request") {
  Server server;
  EventSourceOptions options = quick();
  options.last_event_id = "0";
  options.init.body = "question";
  options.idle_timeout = 7s;
  std::vector<std::string> lost;
  options.on_disconnect = [&](const Error& error) { lost.push_back(error.code().message()); };
  EventSource events(*server.client, kUrl, std::move(options));
  for (const char* id : {"0", "1", "1", "2"}) {
    CAPTURE(id);
    FakeTransfer& transfer = server.driver->next();
    CHECK(transfer.request().headers.get("Last-Event-ID") == id);
    CHECK(transfer.request().headers.get("Accept") == "text/event-stream");
    CHECK(transfer.request().method == "POST");
    CHECK(transfer.request().body == "question");
    CHECK(transfer.request().idle_timeout == 7s);
    const auto next = std::to_string(std::stoi(id) + 1);
    if (lost.size() == 1) {
      server.fail(transfer, errc::connect_failed);
    } else {
      transfer.head(200, kEvents);
      transfer.send("id:" + next + "\ndata:" + next + "\n\ndata:cut");
      if (lost.empty()) {
        server.end(transfer);
      } else {
        server.fail(transfer, errc::timed_out);
      }
      CHECK(events.next()->data == next);
    }
  }
  server.answer(204);
  CHECK_FALSE(events.next());
  CHECK(events.state() == State::closed);
  REQUIRE(lost.size() == 4);
  CHECK(lost[0] == make_error_code(errc::truncated).message());
  CHECK(lost[1] == make_error_code(errc::connect_failed).message());
  CHECK(lost[3] == make_error_code(errc::timed_out).message());
}

TEST_CASE("EventSource: a coroutine gets the events of all connections") {
  Server server;
  EventSource events(*server.client, kUrl, quick());
  auto all = async_drain(events);
  server.end(server.accept("data:a\n\n"));
  server.answer(503);
  server.answer(429, {{"Retry-After", "0"}});
  FakeTransfer& last = server.accept("data:b\n\ndata:c");
  server.send(last, "\n\n");
  server.end(last);
  server.answer(204);
  CHECK(all.get() == "abc.");
}

TEST_CASE("EventSource: what it cannot use is an error, after the events before") {
  for (const int status : {404, 302, 200}) {
    CAPTURE(status);
    Server server;
    EventSourceOptions options = quick();
    options.overflow = Overflow::drop_newest;  // so that it looks past the event
    EventSource events(*server.client, kUrl, std::move(options));
    server.end(server.accept("data:a\n\n"));
    server.answer(status, {{"Content-Type", "text/html"}});
    wait_for(events, State::closed);
    CHECK(events.next()->data == "a");
    const auto error = error_of([&] { events.next(); });
    REQUIRE(error);
    CHECK(error->code() == errc::bad_status);
    CHECK(error->status() == status);
    CHECK(error->url() == kShown);
    CHECK(code_of([&] { events.try_next(); }) == errc::bad_status);
    events.close();
    CHECK_FALSE(events.next());
  }
}

TEST_CASE("EventSource: refuses options that make no sense, and a bad URL when asked") {
  Server server;
  const auto refused = [&](auto change) {
    return code_of([&] {
      EventSourceOptions options;
      change(options);
      const EventSource events(*server.client, kUrl, std::move(options));
    });
  };
  CHECK(refused([](auto& o) { o.retry = 0ms; }) == errc::invalid_argument);
  CHECK(refused([](auto& o) { o.max_retry = 1s; }) == errc::invalid_argument);
  CHECK(refused([](auto& o) { o.idle_timeout = -1ms; }) == errc::invalid_argument);
  CHECK(refused([](auto& o) { o.max_pending_events = 0; }) == errc::invalid_argument);
  EventSource events(*server.client, "ftp://h/");
  CHECK(code_of([&] { events.next(); }) == errc::invalid_argument);
  CHECK_FALSE(server.driver->has_next());
}

TEST_CASE("EventSource: with Reconnect::never the end ends it, and a failure is thrown") {
  Server server;
  EventSource ends(*server.client, kUrl, once());
  server.end(server.accept("data:a\n\ndata:b"));
  CHECK(drain(ends) == "a.");
  EventSource fails(*server.client, kUrl, once());
  server.fail(server.accept("data:a\n\n"), errc::truncated);
  CHECK(fails.next()->data == "a");
  CHECK(code_of([&] { fails.next(); }) == errc::truncated);
  EventSource refused(*server.client, kUrl, once());
  server.answer(503, {{"Retry-After", "1"}});
  CHECK(code_of([&] { refused.next(); }) == errc::bad_status);
  CHECK_FALSE(server.driver->has_next());
}

TEST_CASE("EventSource: waits before it connects again, however soon the server closes") {
  Server server;
  std::promise<errc> lost;
  EventSource events(*server.client, kUrl, patient(lost));
  server.end(server.accept("retry:300000\ndata:a\n\n"));
  CHECK(events.next()->data == "a");
  CHECK(lost.get_future().get() == errc::truncated);
  CHECK(events.state() == State::connecting);
  CHECK(events.try_next().status == ReadStatus::pending);
  CHECK_FALSE(server.driver->has_next());
  events.close();
  CHECK_FALSE(events.next());
}

TEST_CASE("EventSource: what is dropped is what the policy says, and counted") {
  const auto outcome = [](Overflow overflow) {
    Server server;
    EventSourceOptions options = once();
    options.overflow = overflow;
    options.max_pending_events = 3;
    EventSource events(*server.client, kUrl, std::move(options));
    server.end(server.accept("data:1\n\ndata:2\n\ndata:3\n\ndata:4\n\ndata:5\n\n"));
    if (overflow != Overflow::block) wait_for(events, State::closed);
    std::string all;
    if (const auto code = code_of([&] {
          while (const auto event = events.next()) all += event->data;
        })) {
      all += *code == errc::too_large ? "!" : "?";
    }
    return all + " " + std::to_string(events.dropped());
  };
  CHECK(outcome(Overflow::block) == "12345 0");
  CHECK(outcome(Overflow::drop_oldest) == "345 2");
  CHECK(outcome(Overflow::drop_newest) == "123 2");
  CHECK(outcome(Overflow::fail) == "123! 0");
}

TEST_CASE("EventSource: close() and a stop request end a next() that waits") {
  Server server;
  std::promise<errc> lost;
  EventSource closed(*server.client, kUrl, patient(lost));
  std::jthread closer([&] { closed.close(); });
  CHECK_FALSE(closed.next());
  CHECK_FALSE(closed.try_next());
  CHECK(closed.try_next().status == ReadStatus::end);
  std::stop_source stop;
  EventSourceOptions options;
  options.init.stop = stop.get_token();
  EventSource stopped(*server.client, kUrl, std::move(options));
  std::jthread stopper([&] { stop.request_stop(); });
  CHECK_FALSE(stopped.next());
  auto waits = async_drain(stopped);
  CHECK(waits.get() == ".");
  EventSourceOptions late;
  late.init.stop = stop.get_token();
  EventSource never(*server.client, kUrl, std::move(late));
  CHECK(never.state() == State::closed);
  CHECK_FALSE(never.next());
}

TEST_CASE("EventSource: a wait that was stopped leaves the connection watched") {
  constexpr const char* kName = "asks";
  Server server;
  std::promise<errc> lost;
  EventSource events(*server.client, kUrl, patient(lost));
  FakeTransfer& transfer = server.accept("data:a\n\n");
  CHECK(events.next()->data == "a");
  std::stop_source stop;
  std::jthread stopper([&] {
    while (thread_status(kName, "State").find("sleeping") == std::string::npos) {
      std::this_thread::yield();
    }
    stop.request_stop();
  });
  auto asked = std::async(std::launch::async, [&] {
    ::pthread_setname_np(::pthread_self(), kName);
    return events.next_until(Deadline::max(), stop.get_token()).status;
  });
  CHECK(asked.get() == ReadStatus::stopped);
  server.end(transfer);
  CHECK(lost.get_future().get() == errc::truncated);  // though nobody asks
  CHECK(events.state() == State::connecting);
}

TEST_CASE("EventSource: close() lets the connection go, and discards what was not asked for") {
  Server server;
  EventSource events(*server.client, kUrl, quick());
  FakeTransfer& transfer = server.accept("data:a\n\ndata:b\n\n");
  CHECK(events.next()->data == "a");
  events.close();
  server.driver->run_until_idle();
  CHECK(transfer.exchange().cancelled());
  CHECK(events.try_next().status == ReadStatus::end);
}

TEST_CASE("EventSource: close() ends it in the middle of what was read at once") {
  std::string sent;
  for (int i = 0; i < 500; ++i) sent += "data:" + std::to_string(i) + "\n\n";
  for (int round = 0; round < 50; ++round) {
    Server server;
    EventSource events(*server.client, kUrl, quick());
    server.accept(sent);
    std::atomic<int> taken{0};
    std::jthread closer([&] {
      while (taken < round * 10) std::this_thread::yield();
      events.close();
    });
    int next = 0;
    while (const auto event = events.next()) {
      REQUIRE(event->data == std::to_string(next));
      taken = ++next;
    }
    CHECK(next >= round * 10);
    CHECK(events.stats().events == static_cast<std::uint64_t>(next));
    CHECK(events.try_next().status == ReadStatus::end);
  }
}

TEST_CASE("EventSource: may be destroyed at any moment") {
  Server server;
  { const EventSource connecting(*server.client, kUrl, quick()); }
  FakeTransfer& first = server.driver->next();
  server.driver->run_until_idle();
  CHECK(first.exchange().cancelled());
  {
    std::promise<errc> lost;
    EventSource waiting(*server.client, kUrl, patient(lost));
    server.fail(server.driver->next(), errc::connect_failed);
    CHECK(lost.get_future().get() == errc::connect_failed);
  }
  {
    EventSource open(*server.client, kUrl, quick());
    server.accept("data:a\n\ndata:b\n\n");
    CHECK(open.next());
  }
  {
    EventSource dropped(*server.client, kUrl, quick());
    auto waits = async_drain(dropped);
    server.accept();
    wait_for(dropped, State::open);
    dropped.close();
    CHECK(waits.get() == ".");
  }
  std::promise<void> gone;
  std::unique_ptr<EventSource> inside;
  EventSourceOptions options = quick();
  options.on_disconnect = [&](const Error&) {
    inside.reset();
    gone.set_value();
  };
  inside = std::make_unique<EventSource>(*server.client, kUrl, std::move(options));
  server.answer(502);
  gone.get_future().get();
  CHECK_FALSE(server.driver->has_next());
}

TEST_CASE("EventSource: outlives its client, and then reads as aborted") {
  const auto outcome = [](auto prepare) {
    auto server = std::make_unique<Server>();
    std::promise<errc> lost;
    EventSource events(*server->client, kUrl, patient(lost));
    prepare(*server, lost);
    std::jthread destroyer([&] { server->client.reset(); });
    const auto code = code_of([&] {
      while (events.next()) {
      }
    });
    CHECK(events.state() == State::closed);
    return code;
  };
  CHECK(outcome([](Server&, auto&) {}) == errc::aborted);
  CHECK(outcome([](Server& server, auto&) { server.accept("data:a\n\n"); }) == errc::aborted);
  CHECK(outcome([](Server& server, auto& lost) {
          server.answer(502);
          lost.get_future().get();
        }) == errc::aborted);
}

TEST_CASE("EventSource: next() on the continuation thread throws where it would wait") {
  Server server;
  EventSource events(*server.client, kUrl, quick());
  auto code = block_after_one(events);
  server.accept("data:a\n\n");
  CHECK(code.get() == errc::would_deadlock);
}

TEST_SUITE_END();
