#include "sse/source_machine.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "api/scripted_stream.hpp"
#include "sse/source_fixture.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

// What an EventSource tells beside its events: to the program's functions, and in figures.

namespace {

/// What happened, in order. Written on one thread at a time: the reader's, or while that waits, or
/// has not started, the continuation thread.
struct Log {
  std::string all;
  std::atomic<int> written{0};  // events

  void listen(EventSourceOptions& options) {
    options.on_open = [this] { all += "open "; };
    options.on_comment = [this](std::string_view text) {
      all += ':';
      all.append(text) += ' ';
    };
    options.on_disconnect = [this](const Error&) { all += "lost "; };
  }
  void read(EventSource& events) {
    while (const auto event = events.next()) {
      all += event->data + ' ';
      ++written;
    }
    all += "end";
  }
  Coroutine<std::string> async_read(EventSource& events) {
    while (const auto event = co_await events.async_next()) all += event->data + ' ';
    all += "end";
    co_return all;
  }
};

constexpr std::string_view kFirst = ":a\ndata:1\n\n:b\n:\n:c\n\ndata:2\n\n";
constexpr const char* kOutcome = "open :a 1 :b : :c 2 lost open :d lost end";

void serve(Server& server) {
  server.end(server.accept(kFirst));
  server.end(server.accept(":d\n"));
  server.answer(204);
}

}  // namespace

TEST_SUITE_BEGIN("sse");

TEST_CASE("EventSource: comments and connections are told in their place among the events") {
  for (const bool blocking : {true, false}) {
    CAPTURE(blocking);
    Server server;
    Log log;
    EventSourceOptions options = quick();
    log.listen(options);
    EventSource events(*server.client, kUrl, std::move(options));
    // On the continuation thread a coroutine takes all, so that nothing is written at once.
    if (blocking) {
      std::jthread reader([&] { log.read(events); });
      FakeTransfer& first = server.accept(kFirst);
      while (log.written < 2) std::this_thread::yield();
      server.end(first);
      server.end(server.accept(":d\n"));
      server.answer(204);
    } else {
      auto all = log.async_read(events);
      serve(server);
      CHECK(all.get() == kOutcome);
    }
    CHECK(log.all == kOutcome);
    CHECK(events.stats().events == 2);
    CHECK(events.stats().reconnects == 2);
    CHECK(events.stats().bytes_received == kFirst.size() + 3);
  }
}

TEST_CASE("EventSource: with block a comment waits for the next event to be asked for") {
  Server server;
  std::promise<std::string> told;
  EventSourceOptions options = quick();
  options.on_comment = [&](std::string_view text) { told.set_value(std::string(text)); };
  EventSource events(*server.client, kUrl, std::move(options));
  auto comment = told.get_future();
  server.accept("data:1\n\n: x\n\n");
  CHECK(events.next()->data == "1");
  // Had it not waited, it would be told on the thread that does this, before.
  std::promise<void> passed;
  EventSourceOptions other = quick();
  other.on_disconnect = [&](const Error&) { passed.set_value(); };
  EventSource later(*server.client, kUrl, std::move(other));
  server.answer(502);
  passed.get_future().get();
  CHECK(comment.wait_for(0s) == std::future_status::timeout);
  CHECK(events.try_next().status == ReadStatus::pending);
  CHECK(comment.get() == "x");
}

TEST_CASE("EventSource: with the other policies a comment is told though nobody asks") {
  Server server;
  std::promise<std::string> told;
  EventSourceOptions options = once();
  options.overflow = Overflow::drop_oldest;
  options.max_pending_events = 1;
  options.on_comment = [&](std::string_view text) { told.set_value(std::string(text)); };
  EventSource events(*server.client, kUrl, std::move(options));
  FakeTransfer& transfer = server.accept("data:1\n\ndata:2\n\n: x\n\ndata:3\n\n");
  CHECK(told.get_future().get() == "x");
  server.end(transfer);
  wait_for(events, State::closed);
  CHECK(events.next()->data == "3");
  CHECK_FALSE(events.next());
  CHECK(events.stats().dropped == 2);
  CHECK(events.stats().events == 1);
}

TEST_CASE("EventSource: its functions may close it, and destroy it") {
  for (const std::string_view where : {"open", "comment"}) {
    for (const bool destroy : {true, false}) {
      CAPTURE(where);
      CAPTURE(destroy);
      Server server;
      std::promise<void> constructed;
      std::promise<void> gone;
      std::unique_ptr<EventSource> events;
      const auto end = [&] {
        constructed.get_future().get();
        destroy ? events.reset() : events->close();
        gone.set_value();
      };
      EventSourceOptions options = quick();
      options.overflow = Overflow::drop_newest;
      if (where == "open") options.on_open = end;
      if (where == "comment") options.on_comment = [&](std::string_view) { end(); };
      events = std::make_unique<EventSource>(*server.client, kUrl, std::move(options));
      constructed.set_value();
      FakeTransfer& transfer = server.accept(":a\ndata:1\n\n:b\n");
      gone.get_future().get();
      server.driver->run_until_idle();
      CHECK(transfer.exchange().cancelled());
      if (!destroy) CHECK_FALSE(events->next());
    }
  }
}

TEST_CASE("EventSource: what one of its functions throws ends it, and comes where it is asked") {
  for (const std::string_view where : {"open", "comment", "disconnect"}) {
    CAPTURE(where);
    Server server;
    EventSourceOptions options = quick();
    const auto fail = [] { throw std::runtime_error("of the program"); };
    if (where == "open") options.on_open = fail;
    if (where == "comment") options.on_comment = [&](std::string_view) { fail(); };
    if (where == "disconnect") options.on_disconnect = [&](const Error&) { fail(); };
    EventSource events(*server.client, kUrl, std::move(options));
    std::jthread sender([&] { server.end(server.accept(":a\n")); });
    CHECK_THROWS_WITH_AS(events.next(), "of the program", std::runtime_error);
    CHECK(events.state() == State::closed);
  }
}

TEST_CASE("EventSource: close() from elsewhere ends a wait that a comment interrupted") {
  Server server;
  std::promise<void> told;
  EventSourceOptions options = quick();
  options.on_comment = [&](std::string_view) { told.set_value(); };
  EventSource events(*server.client, kUrl, std::move(options));
  std::jthread closer([&] {
    told.get_future().get();
    events.close();
  });
  std::jthread sender([&] { server.accept(":a\n"); });
  CHECK_FALSE(events.next());
}

TEST_SUITE_END();
