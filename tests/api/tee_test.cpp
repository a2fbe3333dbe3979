#include "api/tee.hpp"

#include <doctest/doctest.h>

#include <chrono>
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
#include "decode/encoders.hpp"
#include "weir/body.hpp"
#include "weir/reader.hpp"

using namespace weir;
using namespace weir::test;
using Then = ScriptedStream::Then;

namespace {

constexpr std::size_t kLag = 1000;
constexpr auto kSoon = std::chrono::milliseconds(1);

std::string text_of(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 7 % 26);
  return text;
}

std::vector<std::string> in_pieces(const std::string& text, std::size_t size) {
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < text.size(); at += size) pieces.push_back(text.substr(at, size));
  return pieces;
}

struct Branches {
  Reader first;
  Reader second;
};

Branches readers(std::pair<Body, Body> bodies) {
  return {bodies.first.reader(), bodies.second.reader()};
}

Branches tee_of(Body body, std::size_t lag = kLag) { return readers(std::move(body).tee(lag)); }

struct TeeSource : ScriptedBody {
  using ScriptedBody::ScriptedBody;
  Branches tee(std::size_t lag = kLag) { return tee_of(body(), lag); }
};

/// A body whose server is the test, and its two branches.
struct Live {
  explicit Live(std::size_t lag = kLag) : opened(fixture.open_body()) {
    auto bodies = std::move(opened.body).tee(lag);
    first.emplace(bodies.first.reader());
    second.emplace(bodies.second.reader());
  }
  void send(std::string_view bytes) { fixture.send(opened.transfer, bytes); }
  void end() { fixture.end(opened.transfer); }

  AsyncFixture fixture;
  AsyncFixture::Opened opened;
  std::optional<Reader> first;
  std::optional<Reader> second;
};

std::optional<errc> read_code(Reader& reader) {
  return code_of([&] { reader.read(); });
}

/// By turns, on one thread, to the end of both.
std::pair<std::string, std::string> read_by_turns(Reader& first, Reader& second) {
  std::pair<std::string, std::string> texts;
  for (bool more = true; more;) {
    const auto one = first.read();
    const auto other = second.read();
    if (one) texts.first += one->text();
    if (other) texts.second += other->text();
    more = one || other;
  }
  return texts;
}

std::string read_whole(Reader& reader) {
  std::string all;
  for (const Chunk& chunk : reader) all += chunk.text();
  return all;
}

}  // namespace

TEST_SUITE_BEGIN("api");

TEST_CASE("tee: both branches get all of the body, on one thread or two") {
  const std::string text = text_of(300'000);
  for (const std::size_t piece : {1'000U, 70'000U, 300'000U}) {
    for (const std::size_t lag : {std::size_t{0}, std::size_t{1}, std::size_t{100'000}}) {
      CAPTURE(piece);
      CAPTURE(lag);
      auto alone = TeeSource(in_pieces(text, piece)).tee(lag);
      CHECK(read_by_turns(alone.first, alone.second) == std::pair(text, text));
      auto shared = TeeSource(in_pieces(text, piece)).tee(lag);
      auto other = std::async(std::launch::async, [&] { return read_whole(shared.second); });
      CHECK(read_whole(shared.first) == text);
      CHECK(other.get() == text);
    }
  }
}

TEST_CASE("tee: every form of reading works on a branch") {
  const std::string text = text_of(10'000);
  auto [first, second] = TeeSource(in_pieces(text, 700)).tee(20'000);
  std::string got;
  std::vector<std::byte> out(333);
  got += as_string(Bytes(out).first(first.read_some(out)));
  got += as_string(Bytes(out).first(first.read_exactly(out)));
  got += first.try_read().chunk.text();
  got += first.read_until(Deadline::max()).chunk.text();
  got += read_whole(first);
  CHECK(got == text);
  CHECK(first.try_read().status == ReadStatus::end);
  CHECK(!first.read());
  CHECK(read_whole(second) == text);
  auto bodies = Body(text).tee();
  CHECK(bodies.first.length() == text.size());
  CHECK(bodies.first.text() == text);
  CHECK(bodies.second.bytes().size() == text.size());
}

TEST_CASE("tee: the branches share the memory of what they bring") {
  const auto fill = [](std::size_t size) { return std::string(size, 'x'); };
  auto [first, second] = TeeSource({fill(100), fill(50'000)}).tee(100'000);
  for (int i = 0; i < 2; ++i) {
    const auto one = first.read();
    const auto other = second.read();
    CHECK(one->bytes().data() == other->bytes().data());
    CHECK(one->size() == other->size());
  }
}

TEST_CASE("tee: what follows each other in one slab is one Chunk for who comes later") {
  Live live;
  for (const char* const piece : {"one ", "two ", "three"}) {
    live.send(piece);
    CHECK(live.first->read()->text() == piece);
  }
  CHECK(live.second->read()->text() == "one two three");
}

TEST_CASE("tee: small pieces that came one by one do not keep a slab each") {
  constexpr std::size_t kPieces = 3000;
  Live live(2 * kPieces);
  const std::string text = text_of(kPieces);
  for (const char piece : text) {
    // Who waits for the next piece has given up the slab of the last one.
    CHECK(live.first->try_read().status == ReadStatus::pending);
    live.send({&piece, 1});
    CHECK(live.first->read()->size() == 1);
  }
  live.end();
  int chunks = 0;
  std::string got;
  for (; const auto chunk = live.second->read(); ++chunks) got += chunk->text();
  CHECK(got == text);
  CHECK(chunks <= 3);
}

TEST_CASE("tee: neither branch gets further ahead than the lag and a piece") {
  TeeSource source(in_pieces(text_of(100'000), 100));
  auto [first, second] = source.tee(1000);
  CHECK(read_what_is_there(first).size() == 1100);
  CHECK(source.log->asked.size() == 11);
  CHECK(!first.try_read());
  std::vector<std::byte> out(99);
  CHECK(second.read_some(out) == 99);
  CHECK(!first.try_read());
  CHECK(second.read_some(std::span(out).first(1)) == 1);
  CHECK(first.try_read().chunk.size() == 100);
  CHECK(!first.try_read());
  CHECK(read_what_is_there(second).size() == 2200);
  CHECK(read_what_is_there(first).size() == 2200);
}

TEST_CASE("tee: dropping or cancelling one branch frees the other") {
  const std::string text = text_of(100'000);
  for (const bool drop : {false, true}) {
    for (const bool ahead : {false, true}) {
      CAPTURE(drop);
      CAPTURE(ahead);
      TeeSource source(in_pieces(text, 100));
      auto [first, second] = source.tee(1000);
      std::optional<Reader> gone(std::move(second));
      Reader& leader = ahead ? *gone : first;
      const std::string begin = read_what_is_there(leader);
      CHECK(begin.size() == 1100);
      if (drop) {
        gone.reset();
      } else {
        gone->cancel();
        CHECK(read_code(*gone) == errc::aborted);
        CHECK(code_of([&] { gone->try_read(); }) == errc::aborted);
      }
      CHECK((ahead ? "" : begin) + read_whole(first) == text);
      CHECK(source.log->cancels == 0);
    }
  }
}

TEST_CASE("tee: the transfer is cancelled once, when both branches are gone") {
  TeeSource source(in_pieces(text_of(1000), 100));
  {
    auto [first, second] = source.tee();
    CHECK(first.read());
    first.cancel();
    CHECK(source.log->cancels == 0);
    second.cancel();
    second.cancel();
    CHECK(source.log->cancels == 1);
    CHECK(read_code(second) == errc::aborted);
  }
  CHECK(source.log->cancels == 1);
  CHECK(source.log->destroyed);
  TeeSource read({"text"});
  {
    auto [first, second] = read.tee();
    CHECK(read_by_turns(first, second).first == "text");
    first.cancel();
    CHECK(!first.read());
  }
  CHECK(read.log->cancels == 0);
}

TEST_CASE("tee: a failure reaches both, after the bytes before it") {
  auto [first, second] = TeeSource({"some", " bytes"}, Then::fail).tee();
  CHECK(first.read()->text() == "some");
  CHECK(first.read()->text() == " bytes");
  CHECK(read_code(first) == errc::truncated);
  CHECK(second.read()->text() == "some");
  CHECK(second.read()->text() == " bytes");
  for (int i = 0; i < 2; ++i) {
    CHECK(read_code(second) == errc::truncated);
    CHECK(read_code(first) == errc::truncated);
  }
}

TEST_CASE("tee: a stop of the request discards what is queued, on both") {
  AsyncFixture fixture;
  std::stop_source stop;
  auto opened = fixture.open_body({.stop = stop.get_token()});
  auto bodies = std::move(opened.body).tee();
  Reader first = bodies.first.reader();
  Reader second = bodies.second.reader();
  fixture.send(opened.transfer, "text");
  CHECK(first.read()->text() == "text");
  stop.request_stop();
  CHECK(read_code(second) == errc::aborted);
  CHECK(read_code(first) == errc::aborted);
}

TEST_CASE("tee: trailers come with the end of each branch") {
  TeeSource source({"text"});
  source.stream->trailer = {{"Checksum", "17"}};
  auto [first, second] = source.tee();
  CHECK(read_whole(first) == "text");
  CHECK(first.trailers() == Headers{{"Checksum", "17"}});
  CHECK(second.trailers().empty());
  CHECK(read_whole(second) == "text");
  CHECK(second.trailers() == Headers{{"Checksum", "17"}});
}

TEST_CASE("tee: stats are the body's own, and of each branch what it got") {
  auto [first, second] = TeeSource({"some", " bytes"}).tee();
  CHECK(first.read());
  CHECK(first.read());
  CHECK(second.read());
  CHECK(first.stats().received == 10);
  CHECK(first.stats().decoded == 10);
  CHECK(second.stats().received == 10);
  CHECK(second.stats().decoded == 4);
}

TEST_CASE("tee: of a tee, of a decoded body, and of one in memory") {
  const std::string text = text_of(200'000);
  auto [first, rest] = Body(text).tee(1000);
  auto [second, third] = std::move(rest).tee(500);
  auto one = std::async(std::launch::async, [&body = first] { return body.text(); });
  auto two = std::async(std::launch::async, [&body = second] { return body.text(); });
  CHECK(third.text() == text);
  CHECK(one.get() == text);
  CHECK(two.get() == text);

  AsyncFixture fixture;
  auto pending = fixture.client->async_fetch(kUrl);
  FakeTransfer& transfer = fixture.driver->next();
  transfer.head(200, {{"Content-Encoding", "gzip"}});
  fixture.driver->run_until_idle();
  auto [plain, other] = tee_of(pending.get().body, 300'000);
  transfer.send(encoded("gzip", text));
  fixture.end(transfer);
  CHECK(read_whole(plain) == text);
  CHECK(read_whole(other) == text);
}

TEST_CASE("tee: takes the body") {
  Body body("text");
  auto bodies = std::move(body).tee();
  CHECK(code_of([&] { body.text(); }) == errc::body_used);
  CHECK(code_of([&] { std::move(body).tee(); }) == errc::body_used);
  CHECK(bodies.first.text() == "text");
}

TEST_CASE("tee: a read that only this thread could let go on throws would_deadlock") {
  auto source = std::make_unique<ScriptedStream>(in_pieces(text_of(3000), 100));
  auto streams = detail::make_tee(std::move(source), kLag, kSoon);
  Reader first(std::move(streams.first));
  Reader second(std::move(streams.second));
  CHECK(second.read());
  CHECK(code_of([&] { read_whole(first); }) == errc::would_deadlock);
  CHECK(read_code(first) == errc::would_deadlock);
  CHECK(code_of([&] { first.try_read(); }) == errc::would_deadlock);
  // It holds up nobody now.
  CHECK(read_whole(second).size() == 2900);
}

TEST_CASE("tee: text() of one branch after the other works as far as the lag goes") {
  const std::string text = text_of(5000);
  auto fits = detail::make_tee(std::make_unique<ScriptedStream>(in_pieces(text, 100)), 5000, kSoon);
  Body first(std::move(fits.first));
  Body second(std::move(fits.second));
  CHECK(first.text() == text);
  CHECK(second.text() == text);
  auto longer =
      detail::make_tee(std::make_unique<ScriptedStream>(in_pieces(text, 10)), 4000, kSoon);
  Body third(std::move(longer.first));
  Body fourth(std::move(longer.second));
  CHECK(code_of([&] { third.text(); }) == errc::would_deadlock);
  CHECK(fourth.text() == text);
}

TEST_CASE("tee: who may be helped by another thread, or gives up by itself, is not stuck") {
  auto source = std::make_unique<ScriptedStream>(in_pieces(text_of(3000), 100));
  auto streams = detail::make_tee(std::move(source), kLag, kSoon);
  detail::Stream& stream = *streams.first;
  const auto here = std::this_thread::get_id();
  Reader second(std::move(streams.second));
  const auto pull = [&] { return stream.pull(1'000'000, flow::Wait::never()); };
  while (pull()) {
  }
  CHECK(stream.is_stuck(here));  // nobody has read the other branch
  const flow::Wait soon{.deadline = std::chrono::steady_clock::now() + 5 * kSoon};
  CHECK(stream.pull(1, soon).status == ReadStatus::pending);
  CHECK(std::async(std::launch::async, [&] { return bool{second.try_read()}; }).get());
  while (pull()) {
  }
  CHECK(!stream.is_stuck(here));
  CHECK(second.try_read());
  while (pull()) {
  }
  CHECK(stream.is_stuck(here));
  CHECK(!stream.is_stuck(std::thread::id()));
}

TEST_CASE("tee: of a tee is stuck if the branch it is made of is") {
  auto source = std::make_unique<ScriptedStream>(in_pieces(text_of(3000), 100));
  auto outer = detail::make_tee(std::move(source), kLag, kSoon);
  auto inner = detail::make_tee(std::move(outer.first), 10'000, kSoon);
  Reader first(std::move(inner.first));
  CHECK(code_of([&] { read_whole(first); }) == errc::would_deadlock);
  Reader other(std::move(outer.second));
  Reader second(std::move(inner.second));
  CHECK(read_by_turns(other, second) == std::pair(text_of(3000), text_of(3000)));
}

TEST_CASE("tee: a thread that waits goes on with bytes, room, the end, and cancel()") {
  Live live;
  const auto read = [](Reader& reader) {
    return std::async(std::launch::async, [&] {
      const auto chunk = reader.read();
      return chunk ? std::string(chunk->text()) : "end";
    });
  };
  auto one = read(*live.first);
  auto two = read(*live.second);
  live.send("bytes");
  CHECK(one.get() == "bytes");
  CHECK(two.get() == "bytes");

  live.send(std::string(2000, 'x'));
  CHECK(live.first->read()->size() == 2000);
  auto ahead = read(*live.first);
  live.send("more");
  CHECK(live.second->read()->size() == 2000);
  CHECK(ahead.get() == "more");
  CHECK(live.second->read()->text() == "more");

  auto cancelled = read(*live.first);
  live.first->cancel();
  CHECK(code_of([&] { cancelled.get(); }) == errc::aborted);
  auto last = read(*live.second);
  live.end();
  CHECK(last.get() == "end");
}

TEST_CASE("tee: a bounded read of a branch ends by its deadline or stop, and harms nothing") {
  Live live;
  CHECK(live.first->try_read().status == ReadStatus::pending);
  const auto soon = std::chrono::steady_clock::now() + kSoon;
  CHECK(live.first->read_until(soon).status == ReadStatus::pending);
  std::stop_source stop;
  auto waiting = std::async(std::launch::async, [&] {
    return live.first->read_until(Deadline::max(), stop.get_token()).status;
  });
  stop.request_stop();
  CHECK(waiting.get() == ReadStatus::stopped);
  live.send("text");
  CHECK(live.first->read()->text() == "text");
  CHECK(live.second->read()->text() == "text");
}

TEST_CASE("tee: coroutines wait for both branches, and each goes on") {
  Live live;
  auto first = read_to_end(*live.first);
  auto second = read_to_end(*live.second);
  std::string all;
  for (int i = 0; i < 100; ++i) {
    const std::string piece = text_of(static_cast<std::size_t>(100 + i));
    live.send(piece);
    all += piece;
  }
  live.end();
  while (!first.done() || !second.done()) live.fixture.driver->run_until_idle();
  CHECK(first.get() == all);
  CHECK(second.get() == all);
}

TEST_CASE("tee: a coroutine and a thread read the two branches") {
  Live live;
  auto first = read_to_end(*live.first);
  auto second = std::async(std::launch::async, [&] { return read_whole(*live.second); });
  std::string all;
  for (int i = 0; i < 200; ++i) {
    live.send("piece of text ");
    all += "piece of text ";
  }
  live.end();
  while (!first.done()) live.fixture.driver->run_until_idle();
  CHECK(first.get() == all);
  CHECK(second.get() == all);
}

TEST_CASE("tee: a coroutine that waits for room goes on when there is some") {
  Live live;
  live.send(std::string(2000, 'x'));
  CHECK(live.first->read()->size() == 2000);
  live.send("more");
  auto ahead = read_once(*live.first);
  CHECK(!ahead.done());
  SUBCASE("since the other reads") { CHECK(live.second->read()); }
  SUBCASE("since the other is cancelled") { live.second->cancel(); }
  SUBCASE("since the other is dropped") { live.second.reset(); }
  CHECK(ahead.get() == "more");
}

TEST_CASE("tee: a coroutine that waits is told of cancel, and dropping it loses nothing") {
  Live live;
  {
    auto dropped = read_once(*live.first);
    CHECK(!dropped.done());
  }
  auto cancelled = read_once(*live.first);
  live.first->cancel();
  CHECK(code_of([&] { cancelled.get(); }) == errc::aborted);
  live.send("text");
  CHECK(live.second->read()->text() == "text");
}

TEST_CASE("tee: a coroutine waits for room of a body in memory too") {
  auto [first, second] = tee_of(Body(text_of(200'000)), 1000);
  auto all = read_to_end(first);
  CHECK(!all.done());
  CHECK(read_whole(second).size() == 200'000);
  CHECK(all.get().size() == 200'000);
}

TEST_CASE("tee: both branches fail when the client goes") {
  Live live;
  auto waiting = read_once(*live.first);
  live.fixture.client.reset();
  CHECK(code_of([&] { waiting.get(); }) == errc::aborted);
  CHECK(read_code(*live.second) == errc::aborted);
}

TEST_SUITE_END();
