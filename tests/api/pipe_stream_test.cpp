#include "api/pipe_stream.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/async_fixture.hpp"
#include "api/scripted_stream.hpp"
#include "support/threads.hpp"
#include "weir/body.hpp"
#include "weir/generator.hpp"
#include "weir/reader.hpp"

using namespace weir;
using namespace weir::test;
using Then = ScriptedStream::Then;

namespace {

/// What a function did; it may be at work on another thread.
struct Trace {
  std::atomic<int> calls{0};
  std::atomic<int> steps{0};
  std::atomic<int> ends{0};
};

struct Guard {
  explicit Guard(std::shared_ptr<Trace> of) : trace(std::move(of)) {}
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard() { ++trace->ends; }
  std::shared_ptr<Trace> trace;
};

std::string upper(std::string_view text) {
  std::string all(text);
  std::transform(all.begin(), all.end(), all.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return all;
}

Generator<Chunk> to_upper(Reader reader) {
  for (const Chunk& chunk : reader) co_yield Chunk::copy_of(upper(chunk.text()));
}

/// Upper case, with each step counted.
auto traced(const std::shared_ptr<Trace>& trace) {
  return [trace](Reader reader) -> Generator<Chunk> {
    ++trace->calls;
    const Guard guard(trace);
    for (const Chunk& chunk : reader) {
      ++trace->steps;
      co_yield Chunk::copy_of(upper(chunk.text()));
    }
  };
}

/// Passes `count` Chunks on, then throws.
auto failing(int count) {
  return [count](Reader reader) -> Generator<Chunk> {
    for (int i = 0; i < count; ++i) co_yield reader.read().value();
    throw std::runtime_error("no more");
  };
}

std::string what_nested_in(const std::exception& error) {
  try {
    std::rethrow_if_nested(error);
  } catch (const std::exception& nested) {
    return nested.what();
  }
  return {};
}

std::optional<errc> read_code(Reader& reader) {
  return code_of([&] { reader.read(); });
}

}  // namespace

TEST_SUITE_BEGIN("api");

TEST_CASE("pipe_through: the reader gets what the function makes, by every form of reading") {
  const auto get = [] {
    return ScriptedBody({"some", "", " bytes"}).body().pipe_through(to_upper);
  };
  CHECK(get().text() == "SOME BYTES");
  CHECK(get().bytes().size() == 10);
  CHECK(!get().length());
  std::string all;
  for (const Chunk& chunk : get().reader()) all += chunk.text();
  CHECK(all == "SOME BYTES");
  Reader reader = get().reader();
  std::vector<std::byte> out(7);
  CHECK(reader.read_exactly(out) == 7);
  CHECK(as_string(out) == "SOME BY");
  CHECK(reader.read_some(out) == 3);
  CHECK(reader.stats().decoded == 10);
  CHECK(reader.stats().received == 10);
  CHECK(!reader.read());
}

TEST_CASE("pipe_through: nothing runs before it is read, and no step before it is asked for") {
  const auto trace = std::make_shared<Trace>();
  ScriptedBody source({"one", "two", "three"});
  Body body = source.body().pipe_through(traced(trace));
  Reader reader = body.reader();
  CHECK(trace->calls == 0);
  CHECK(source.log->asked.empty());
  CHECK(reader.read()->text() == "ONE");
  CHECK(trace->steps == 1);
  CHECK(source.log->asked.size() == 1);
  CHECK(reader.read()->text() == "TWO");
  CHECK(trace->steps == 2);
  CHECK(reader.read());
  CHECK(trace->ends == 0);
  CHECK(!reader.read());
  CHECK(trace->ends == 1);
  CHECK(source.log->cancels == 0);
}

TEST_CASE("pipe_through: dropping or cancelling it cancels the source and cleans up, once") {
  for (const bool begun : {false, true}) {
    for (const bool cancel : {false, true}) {
      CAPTURE(begun);
      CAPTURE(cancel);
      const auto trace = std::make_shared<Trace>();
      ScriptedBody source({"one", "two"});
      {
        Reader reader = source.body().pipe_through(traced(trace)).reader();
        if (begun) CHECK(reader.read());
        if (cancel) {
          reader.cancel();
          reader.cancel();
          CHECK(source.log->cancels == 1);
          CHECK(read_code(reader) == errc::aborted);
          CHECK(trace->ends == (begun ? 1 : 0));
        }
      }
      CHECK(source.log->cancels == 1);
      CHECK(source.log->destroyed);
      CHECK(trace->ends == (begun ? 1 : 0));
      CHECK(trace.use_count() == 1);
    }
  }
}

TEST_CASE("pipe_through: a function that ends early cancels the rest") {
  ScriptedBody source({"one", "two"});
  const auto first = [](Reader reader) -> Generator<Chunk> { co_yield reader.read().value(); };
  CHECK(source.body().pipe_through(first).text() == "one");
  CHECK(source.log->cancels == 1);
}

TEST_CASE("pipe_through: what the function throws comes after its Chunks, nested") {
  for (const int count : {0, 2}) {
    CAPTURE(count);
    ScriptedBody source({"one", "two", "three"});
    Reader reader = source.body().pipe_through(failing(count)).reader();
    for (int i = 0; i < count; ++i) CHECK(reader.read());
    for (int i = 0; i < 2; ++i) {
      try {
        reader.read();
        FAIL("nothing was thrown");
      } catch (const Error& error) {
        CHECK(error.code() == errc::source_failed);
        CHECK(what_nested_in(error) == "no more");
      }
    }
    CHECK(source.log->cancels == 1);
    reader.cancel();
    CHECK(read_code(reader) == errc::source_failed);
  }
  const auto refuses = [](Reader) -> Generator<Chunk> { throw std::logic_error("not today"); };
  CHECK(code_of([&] { Body("text").pipe_through(refuses).text(); }) == errc::source_failed);
}

TEST_CASE("pipe_through: an exception that is no coroutine's, and one of no kind, are told too") {
  const auto throws = [](Reader) -> Generator<Chunk> {
    throw 17;
    co_return;
  };
  CHECK(code_of([&] { Body("text").pipe_through(throws).text(); }) == errc::source_failed);
  CHECK(code_of([&] { Body("text").pipe_through({}).text(); }) == errc::source_failed);
  const auto hungry = [](Reader) -> Generator<Chunk> {
    throw std::bad_alloc();
    co_return;
  };
  CHECK_THROWS_AS(Body("text").pipe_through(hungry).text(), std::bad_alloc);
}

TEST_CASE("pipe_through: a failure of what it reads comes as it is, if it is let through") {
  ScriptedBody source({"one"}, Then::fail);
  Reader reader = source.body().pipe_through(to_upper).reader();
  CHECK(reader.read()->text() == "ONE");
  CHECK(read_code(reader) == errc::truncated);
  CHECK(read_code(reader) == errc::truncated);
  const auto other = [](Reader) -> Generator<Chunk> {
    throw Error({.code = errc::timed_out});
    co_return;
  };
  CHECK(code_of([&] { Body("text").pipe_through(other).text(); }) == errc::source_failed);
}

TEST_CASE("pipe_through: a Chunk larger than asked for comes in parts") {
  const auto large = [](Reader) -> Generator<Chunk> {
    co_yield Chunk();
    co_yield Chunk::copy_of(std::string(1000, 'x'));
  };
  Reader reader = Body("").pipe_through(large).reader();
  std::vector<std::byte> out(700);
  CHECK(reader.read_some(out) == 700);
  CHECK(reader.read_some(out) == 300);
  CHECK(reader.read_some(out) == 0);
}

TEST_CASE("pipe_through: trailers come with the end") {
  ScriptedBody source({"text"});
  source.stream->trailer = {{"Checksum", "17"}};
  Reader reader = source.body().pipe_through(to_upper).reader();
  CHECK(reader.read());
  CHECK(reader.trailers().empty());
  CHECK(!reader.read());
  CHECK(reader.trailers() == Headers{{"Checksum", "17"}});
}

TEST_CASE("pipe_through: of a pipe, and of a branch of a tee") {
  const auto twice = [](Reader reader) -> Generator<Chunk> {
    for (const Chunk& chunk : reader) {
      co_yield chunk;
      co_yield chunk;
    }
  };
  CHECK(Body("ab").pipe_through(to_upper).pipe_through(twice).text() == "ABAB");
  auto [first, second] = Body("ab").tee();
  CHECK(std::move(first).pipe_through(to_upper).text() == "AB");
  CHECK(second.text() == "ab");
  auto [third, fourth] = Body("ab").pipe_through(twice).tee();
  CHECK(third.text() == "abab");
  CHECK(fourth.text() == "abab");
}

TEST_CASE("pipe_through: reads that may not block have it run on a thread of its own") {
  AsyncFixture fixture;
  auto opened = fixture.open_body();
  const auto name = std::make_shared<std::string>();
  const auto named = [name](Reader reader) -> Generator<Chunk> {
    *name = thread_name();
    for (const Chunk& chunk : reader) co_yield chunk;
  };
  Reader reader = std::move(opened.body).pipe_through(named).reader();
  CHECK(reader.try_read().status == ReadStatus::pending);
  const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
  CHECK(reader.read_until(soon).status == ReadStatus::pending);
  std::stop_source stop;
  auto stopped = std::async(std::launch::async, [&] {
    return reader.read_until(Deadline::max(), stop.get_token()).status;
  });
  stop.request_stop();
  CHECK(stopped.get() == ReadStatus::stopped);
  fixture.send(opened.transfer, "one");
  const ReadResult one = reader.read_until(Deadline::max() - std::chrono::seconds(1));
  CHECK(one.chunk.text() == "one");
  CHECK(*name == "weir-pipe");
  auto two = std::async(std::launch::async, [&] { return std::string(reader.read()->text()); });
  fixture.send(opened.transfer, "two");
  CHECK(two.get() == "two");
}

TEST_CASE("pipe_through: coroutines read it, one Chunk ahead") {
  AsyncFixture fixture;
  auto opened = fixture.open_body();
  const auto trace = std::make_shared<Trace>();
  Reader reader = std::move(opened.body).pipe_through(traced(trace)).reader();
  auto all = read_to_end(reader);
  CHECK(!all.done());
  for (const char* const piece : {"one ", "two ", "three"}) fixture.send(opened.transfer, piece);
  fixture.end(opened.transfer);
  CHECK(all.get() == "ONE TWO THREE");
  CHECK(trace->ends == 1);
  Reader memory = Body("text").pipe_through(to_upper).reader();
  CHECK(read_to_end(memory).get() == "TEXT");
}

TEST_CASE("pipe_through: cancel ends a read that waits, in the function or for it") {
  for (const bool here : {true, false}) {
    CAPTURE(here);
    AsyncFixture fixture;
    auto opened = fixture.open_body();
    const auto trace = std::make_shared<Trace>();
    Reader reader = std::move(opened.body).pipe_through(traced(trace)).reader();
    if (!here) CHECK(!reader.try_read());
    auto waiting = std::async(std::launch::async, [&] { return read_code(reader); });
    while (trace->calls == 0) std::this_thread::yield();
    reader.cancel();
    CHECK(waiting.get() == errc::aborted);
    fixture.driver->run_until_idle();
    CHECK(opened.transfer.cancelled() == 1);
  }
  AsyncFixture fixture;
  auto opened = fixture.open_body();
  Reader reader = std::move(opened.body).pipe_through(to_upper).reader();
  auto suspended = read_once(reader);
  reader.cancel();
  CHECK(code_of([&] { suspended.get(); }) == errc::aborted);
}

TEST_CASE("pipe_through: a stop of the request ends it, and the function is told") {
  AsyncFixture fixture;
  std::stop_source stop;
  auto opened = fixture.open_body({.stop = stop.get_token()});
  const auto trace = std::make_shared<Trace>();
  Reader reader = std::move(opened.body).pipe_through(traced(trace)).reader();
  fixture.send(opened.transfer, "one");
  CHECK(reader.read()->text() == "ONE");
  stop.request_stop();
  CHECK(read_code(reader) == errc::aborted);
  CHECK(trace->ends == 1);
}

TEST_CASE("pipe_through: dropping a wait of a coroutine loses nothing") {
  AsyncFixture fixture;
  auto opened = fixture.open_body();
  Reader reader = std::move(opened.body).pipe_through(to_upper).reader();
  {
    auto dropped = read_once(reader);
    CHECK(!dropped.done());
  }
  fixture.send(opened.transfer, "text");
  CHECK(reader.read()->text() == "TEXT");
}

TEST_SUITE_END();
