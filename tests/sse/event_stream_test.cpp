#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "api/async_fixture.hpp"
#include "api/scripted_stream.hpp"
#include "base/slab.hpp"
#include "support/sweep.hpp"
#include "weir/sse.hpp"

using namespace weir;
using namespace weir::test;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Then = ScriptedStream::Then;

namespace {

static_assert(!std::is_copy_constructible_v<EventStream>);
static_assert(std::is_nothrow_move_constructible_v<EventStream>);
static_assert(std::is_nothrow_move_assignable_v<EventStream>);
static_assert(std::ranges::input_range<EventStream>);

struct Source {
  explicit Source(std::vector<std::string> pieces, Then then = Then::end)
      : owned(std::make_unique<ScriptedStream>(std::move(pieces), then)), stream(owned.get()) {}
  EventStream events(const SseLimits& limits = {}) {
    return EventStream(Body(std::move(owned)), limits);
  }

  std::unique_ptr<ScriptedStream> owned;
  ScriptedStream* stream;
  std::shared_ptr<StreamLog> log = stream->log;
};

std::string data_of(const std::optional<Event>& event) { return event ? event->data : "(end)"; }
std::string data_of(const EventResult& result) {
  switch (result.status) {
    case ReadStatus::data: return result.event.data;
    case ReadStatus::end: return "(end)";
    case ReadStatus::pending: return "(pending)";
    default: return "(stopped)";
  }
}

Deadline late() { return steady_clock::now() - hours(1); }

std::optional<errc> code_of_all_forms(EventStream& events) {
  const auto code = code_of([&] { events.next(); });
  CHECK(code_of([&] { events.try_next(); }) == code);
  CHECK(code_of([&] { events.next_until(late()); }) == code);
  CHECK(code_of([&] { events.begin(); }) == code);
  return code;
}

/// Comments, for ever, in Chunks of which it can see how many are alive.
class Endless final : public detail::ReadyStream {
 public:
  explicit Endless(std::vector<std::size_t>& free_before) : free_before_(free_before) {}
  ~Endless() override { pool_->release(); }

  ReadResult pull(std::size_t, const flow::Wait&) override {
    free_before_.push_back(pool_->retained());
    detail::Slab* const slab = pool_->acquire(2);
    slab->data()[0] = std::byte{':'};
    slab->data()[1] = std::byte{'\n'};
    slab->committed.store(2);
    Chunk chunk = slab->chunk(0, 2);
    slab->release();
    return {.status = ReadStatus::data, .chunk = std::move(chunk)};
  }
  void cancel() noexcept override {}
  BodyStats stats() const noexcept override { return {}; }
  std::optional<std::uint64_t> length() const noexcept override { return std::nullopt; }

 private:
  detail::SlabPool* const pool_ = detail::SlabPool::create();
  std::vector<std::size_t>& free_before_;
};

struct OpenEvents {
  explicit OpenEvents(AsyncFixture& fixture) : OpenEvents(fixture, fixture.open_body()) {}

  EventStream events;
  FakeTransfer& transfer;

 private:
  OpenEvents(AsyncFixture&, AsyncFixture::Opened opened)
      : events(std::move(opened.body)), transfer(opened.transfer) {}
};

Coroutine<std::string> next_data(EventStream& events, std::stop_token stop = {}) {
  co_return data_of(co_await events.async_next(std::move(stop)));
}

Coroutine<std::string> next_data_until(EventStream& events, Deadline deadline,
                                       std::stop_token stop = {}) {
  co_return data_of(co_await events.async_next_until(deadline, std::move(stop)));
}

Coroutine<std::vector<std::string>> read_all(EventStream& events) {
  std::vector<std::string> all;
  while (const auto event = co_await events.async_next()) all.push_back(event->data);
  co_return all;
}

}  // namespace

TEST_SUITE_BEGIN("sse");

TEST_CASE("EventStream: brings the events of a body in memory, whatever its form of asking") {
  const std::string text = "retry:250\nid:1\ndata:a\n\nevent:tick\ndata:b\n\ndata:cut";
  EventStream events{Body(text)};
  CHECK_FALSE(events.retry());
  const auto first = events.next();
  REQUIRE(first);
  CHECK(first->type == "message");
  CHECK(first->data == "a");
  CHECK(first->id == "1");
  CHECK(events.last_event_id() == "1");
  CHECK(events.retry() == milliseconds(250));
  const auto second = events.try_next();
  REQUIRE(second);
  CHECK(second.event.type == "tick");
  CHECK(second.event.data == "b");
  CHECK(second.event.id == "1");
  CHECK(data_of(events.next_until(late())) == "(end)");
  CHECK(data_of(events.next()) == "(end)");
  CHECK(data_of(events.try_next()) == "(end)");
  CHECK(events.stats().drained == text.size());
}

TEST_CASE("EventStream: is a range") {
  std::string all;
  EventStream events(Body("data:1\n\ndata:2\n\ndata:3\n\n"));
  for (const Event& event : events) all += event.data;
  CHECK(all == "123");
  EventStream none{Body()};
  CHECK(none.begin() == none.end());
}

TEST_CASE("EventStream: pieces of any size make no difference") {
  const std::string text =
      "\xEF\xBB\xBF"
      "id:7\r\ndata:\xE2\x82\xAC\r\n\r\n:c\rdata:2\r\rdata:x";
  sweep(text, [](const std::vector<std::string_view>& pieces) {
    Source source({pieces.begin(), pieces.end()});
    EventStream events = source.events();
    CHECK(data_of(events.next()) == "\xE2\x82\xAC");
    CHECK(data_of(events.next()) == "2");
    CHECK(data_of(events.next()) == "(end)");
    CHECK(source.log->cancels == 0);
  });
}

TEST_CASE("EventStream: takes a body once") {
  Body body("data:1\n\n");
  EventStream events(std::move(body));
  CHECK(code_of([&] { EventStream again(std::move(body)); }) == errc::body_used);
  EventStream moved = std::move(events);
  CHECK(code_of_all_forms(events) == errc::body_used);
  CHECK(events.last_event_id().empty());
  CHECK_FALSE(events.retry());
  CHECK(events.stats().received == 0);
  events.cancel();
  CHECK(data_of(moved.next()) == "1");
}

TEST_CASE("EventStream: events that were complete precede the failure, which stays") {
  Source source({"data:1\n\ndata:2\n", "\ndata:3\n"}, Then::fail);
  EventStream events = source.events();
  CHECK(data_of(events.next()) == "1");
  CHECK(data_of(events.next()) == "2");
  CHECK(code_of_all_forms(events) == errc::truncated);
}

TEST_CASE("EventStream: what is too large cancels the transfer, after the events before it") {
  Source source({"data:1\n\ndata:12345", "6\n\n", "data:2\n\n"}, Then::hang);
  EventStream events = source.events({.line = 10});
  CHECK(data_of(events.next()) == "1");
  std::string detail;
  try {
    events.next();
  } catch (const Error& error) {
    detail = error.detail();
  }
  CHECK(detail == "SseLimits::line = 10: 11 bytes");
  CHECK(source.log->cancels == 1);
  CHECK(code_of_all_forms(events) == errc::too_large);
}

TEST_CASE("EventStream: cancel() discards what was read already") {
  Source source({"data:1\n\ndata:2\n\ndata:3\n\n"}, Then::hang);
  EventStream events = source.events();
  CHECK(data_of(events.next()) == "1");
  events.cancel();
  CHECK(code_of_all_forms(events) == errc::aborted);
  CHECK(source.log->cancels == 1);
}

TEST_CASE("EventStream: a read that was stopped or is late loses nothing") {
  AsyncFixture fixture;
  OpenEvents open(fixture);
  std::stop_source stop;
  fixture.send(open.transfer, "data:1\n");
  CHECK(data_of(open.events.try_next()) == "(pending)");
  CHECK(data_of(open.events.next_until(late())) == "(pending)");
  stop.request_stop();
  CHECK(data_of(open.events.next_until(Deadline::max(), stop.get_token())) == "(stopped)");
  fixture.send(open.transfer, "\n");
  CHECK(data_of(open.events.next_until(late())) == "1");
}

TEST_CASE(
    "EventStream: one that waits holds no Chunk, and never waits for ever where it must not") {
  std::vector<std::size_t> free_before;
  EventStream events{Body(std::make_unique<Endless>(free_before))};
  CHECK(data_of(events.try_next()) == "(pending)");
  CHECK(data_of(events.next_until(late())) == "(pending)");
  CHECK(free_before.size() > 2);
  for (std::size_t i = 1; i < free_before.size(); ++i) CHECK(free_before[i] > 0);
}

TEST_CASE("async_next: suspends until the event is complete") {
  AsyncFixture fixture;
  OpenEvents open(fixture);
  auto first = next_data(open.events);
  for (const std::string_view piece : {":comment\n", "data:", "1\n", "id:9\n"}) {
    fixture.send(open.transfer, piece);
    CHECK_FALSE(first.done());
  }
  fixture.send(open.transfer, "\ndata:2\n\nda");
  CHECK(first.get() == "1");
  CHECK(open.events.last_event_id() == "9");
  auto second = next_data(open.events);
  CHECK(second.done());  // it was there
  CHECK(second.get() == "2");
  auto last = next_data(open.events);
  CHECK_FALSE(last.done());
  fixture.end(open.transfer);
  CHECK(last.get() == "(end)");
}

TEST_CASE("async_next: of a body in memory never suspends") {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += ":comment\n";
  EventStream events(Body(text + "data:1\n\n"));
  auto coroutine = read_all(events);
  CHECK(coroutine.done());
  CHECK(coroutine.get() == std::vector<std::string>{"1"});
}

TEST_CASE("async_next: a suspended coroutine that is destroyed loses nothing") {
  Executor executor;
  AsyncFixture fixture({.resume_on = executor.resume_on()});
  OpenEvents open(fixture);
  fixture.send(open.transfer, "data:1\n");
  {
    auto dropped = next_data(open.events);
    CHECK_FALSE(dropped.done());
    fixture.send(open.transfer, "data:2\n\ndata:3\n\n");
    executor.wait();  // its event was found, and it is about to go on
    executor.forget(dropped.handle());
  }
  auto coroutine = next_data(open.events);
  CHECK(executor.run(coroutine) == "1\n2");
  CHECK(data_of(open.events.try_next()) == "3");
}

TEST_CASE("async_next: a stop ends the wait, not the stream") {
  AsyncFixture fixture;
  OpenEvents open(fixture);
  fixture.send(open.transfer, "data:1\n");
  std::stop_source stop;
  auto stopped = next_data(open.events, stop.get_token());
  stop.request_stop();
  CHECK(code_of([&] { stopped.get(); }) == errc::aborted);
  std::stop_source other;
  auto until = next_data_until(open.events, Deadline::max(), other.get_token());
  other.request_stop();
  CHECK(until.get() == "(stopped)");
  CHECK(next_data_until(open.events, late()).get() == "(pending)");
  CHECK(next_data_until(open.events, steady_clock::now() + milliseconds(5)).get() == "(pending)");
  fixture.send(open.transfer, "\n");
  CHECK(next_data(open.events).get() == "1");
}

TEST_CASE("async_next: a failure and the client's end reach who is suspended") {
  AsyncFixture fixture;
  OpenEvents open(fixture);
  OpenEvents other(fixture);
  auto failed = next_data(open.events);
  open.transfer.send("data:1\n");
  open.transfer.fail({.code = errc::truncated});
  fixture.driver->run_until_idle();
  CHECK(code_of([&] { failed.get(); }) == errc::truncated);
  CHECK(code_of_all_forms(open.events) == errc::truncated);
  auto aborted = next_data(other.events);
  fixture.client.reset();
  CHECK(code_of([&] { aborted.get(); }) == errc::aborted);
}

TEST_CASE("async_next: what is too large reaches who is suspended") {
  AsyncFixture fixture;
  auto opened = fixture.open_body();
  EventStream events(std::move(opened.body), {.line = 10});
  auto coroutine = next_data(events);
  fixture.send(opened.transfer, "data:123456");
  CHECK(code_of([&] { coroutine.get(); }) == errc::too_large);
  fixture.driver->run_until_idle();
  CHECK(opened.transfer.channel().cancelled());
}

TEST_CASE("async_next: a flood without events takes several looks, and loses nothing") {
  AsyncFixture fixture;
  OpenEvents flood(fixture);
  OpenEvents other(fixture);
  auto flooded = next_data(flood.events);
  auto coroutine = next_data(other.events);
  const std::string comment = ":" + std::string(1022, 'x') + "\n";
  std::string much;
  while (much.size() < (std::size_t{16} << 10)) much += comment;
  for (int i = 0; i < 200; ++i) flood.transfer.send(much);  // many slabs, with one wake-up
  flood.transfer.send("data:1\n\n");
  other.transfer.send("data:2\n\n");
  fixture.driver->run_until_idle();
  CHECK(coroutine.get() == "2");
  CHECK(flooded.get() == "1");
}

TEST_SUITE_END();
