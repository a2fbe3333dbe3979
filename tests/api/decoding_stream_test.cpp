#include "api/decoding_stream.hpp"

#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "api/scripted_stream.hpp"
#include "decode/encoders.hpp"
#include "support/fake_hub.hpp"
#include "support/sweep.hpp"
#include "weir/body.hpp"
#include "weir/reader.hpp"

using namespace weir;
using namespace weir::test;
using detail::DecodingStream;
using Then = ScriptedStream::Then;

namespace {

constexpr std::size_t kAnySize = 1 << 20;

std::vector<std::string> pieces_of(std::string_view wire, std::size_t size) {
  std::vector<std::string> pieces;
  for (const auto piece : cut(wire, size)) pieces.emplace_back(piece);
  return pieces;
}

/// A decoded body whose wire is a script.
struct Scripted {
  Scripted(std::string codings, std::vector<std::string> pieces, Then then = Then::end)
      : wire(new ScriptedStream(std::move(pieces), then)),
        stream(std::unique_ptr<detail::Stream>(wire), std::move(codings)) {}

  /// All that comes before the end or a failure.
  std::string read(std::size_t max = kAnySize) {
    std::string text;
    try {
      while (const auto result = stream.pull(max, flow::Wait::never())) {
        text += result.chunk.text();
      }
    } catch (const Error& error) {
      failure = error;
    }
    return text;
  }
  std::optional<errc> code() const {
    if (!failure) return std::nullopt;
    return static_cast<errc>(failure->code().value());
  }

  ScriptedStream* wire;
  DecodingStream stream;
  std::optional<Error> failure;
};

/// A body without bytes, once gzip is undone: about `size` bytes of empty blocks.
std::string empty_blocks(std::size_t size) {
  std::string text = encoder_of("gzip")("", Push::flush);
  while (text.size() < size) text += std::string("\0\0\0\xFF\xFF", 5);
  return text;
}

struct CountedWaiter final : flow::Waiter {
  Kind wake() noexcept override {
    ++wakes;
    return Kind::other;
  }
  int wakes = 0;
};

/// The same on a Channel.
struct Live {
  explicit Live(const std::string& codings = "gzip",
                std::shared_ptr<flow::Continuations> continuations = {}) {
    net::Request request;
    request.url = "http://localhost/";
    exchange = std::make_shared<net::Exchange>(hub, flow::Watermarks{}, request);
    source = std::make_unique<FakeSource>(*hub, exchange);
    auto wire = std::make_unique<detail::ChannelStream>(exchange, stop.get_token(),
                                                        std::move(continuations));
    source->open();
    wire->wait_for_head();
    stream = std::make_unique<DecodingStream>(std::move(wire), codings);
  }
  ~Live() {
    stream.reset();
    hub->run_until_idle();
    hub->shut();
  }
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;
  std::optional<errc> pull_code() {
    return code_of([this] { stream->pull(kAnySize, flow::Wait::never()); });
  }

  std::shared_ptr<FakeHub> hub = std::make_shared<FakeHub>();
  std::stop_source stop;
  std::shared_ptr<net::Exchange> exchange;
  std::unique_ptr<FakeSource> source;
  std::unique_ptr<DecodingStream> stream;
};

}  // namespace

TEST_SUITE_BEGIN("api");

TEST_CASE("DecodingStream: the bytes come however the wire is cut, in pieces of any size") {
  const std::string text = prose(10'000);
  for (const char* const codings : {"gzip", "deflate", "br", "zstd", "br, gzip"}) {
    CAPTURE(codings);
    const std::string wire = encoded(codings, text);
    for (const std::size_t size : {1U, 3U, 1000U, 100'000U}) {
      CAPTURE(size);
      for (const std::size_t max : {1U, 100U, 1U << 20}) {
        Scripted body(codings, pieces_of(wire, size));
        CHECK(body.read(max) == text);
        CHECK(!body.failure);
        const BodyStats stats = body.stream.stats();
        CHECK(stats.decoded == text.size());
        CHECK(stats.received == wire.size());
        CHECK(stats.drained == wire.size());
      }
    }
  }
}

TEST_CASE("DecodingStream: nothing is pulled from the wire while there is something to give out") {
  const std::string text(500'000, 'x');
  Scripted body("gzip", {encoded("gzip", text), encoded("gzip", "end")});
  std::size_t size = 0;
  while (size < text.size()) {
    const auto result = body.stream.pull(kAnySize, flow::Wait::never());
    REQUIRE(result);
    CHECK(result.chunk.size() <= 64 * 1024);
    size += result.chunk.size();
    CHECK(body.wire->log->asked.size() == 1);
  }
  CHECK(body.read() == "end");
}

TEST_CASE("DecodingStream: knows no length, and passes the trailers on") {
  Scripted body("gzip", {encoded("gzip", "text")});
  body.wire->claimed = 24;
  body.wire->trailer = {{"Checksum", "17"}};
  CHECK(!body.stream.length());
  CHECK(body.read() == "text");
  CHECK(body.stream.trailers() == Headers{{"Checksum", "17"}});
  CHECK(body.stream.pull(1, flow::Wait::never()).status == ReadStatus::end);
}

TEST_CASE("DecodingStream: an empty body is no error, whatever it claims to be") {
  for (const char* const codings : {"gzip", "br", "unheard-of", "gzip, gzip, gzip"}) {
    Scripted body(codings, {});
    CHECK(body.read().empty());
    CHECK(!body.failure);
  }
}

TEST_CASE("DecodingStream: fails after the good bytes, again each time, and stops the transfer") {
  const std::string text = prose(1000);
  const std::string wire = encoded("gzip", text);
  SUBCASE("cut") {
    for (std::size_t size = 1; size < wire.size(); ++size) {
      Scripted body("gzip", {wire.substr(0, size)});
      CHECK(text.starts_with(body.read()));
      CHECK(body.code() == errc::decode_failed);
      CHECK(body.failure->detail() == "gzip: cut short");
      CHECK(body.failure->bytes_received() == size);
      CHECK(body.wire->log->cancels == 1);
    }
  }
  SUBCASE("corrupt") {
    std::string wrong = wire;
    wrong[wire.size() - 6] = static_cast<char>(wrong[wire.size() - 6] + 1);
    Scripted body("gzip", {wrong, "more"}, Then::hang);
    CHECK(body.read() == text);
    CHECK(body.code() == errc::decode_failed);
    CHECK(body.failure->detail() == "gzip: incorrect data check");
    CHECK(body.wire->log->cancels == 1);
    CHECK(body.read().empty());
    CHECK(body.code() == errc::decode_failed);
    CHECK(body.stream.ready());
  }
  SUBCASE("unknown, or too many") {
    for (const char* const codings : {"unheard-of", "gzip, gzip, gzip"}) {
      Scripted body(codings, {wire});
      CHECK(body.read().empty());
      CHECK(body.code() == errc::decode_failed);
      CHECK(body.failure->detail().starts_with("Content-Encoding: "));
    }
  }
  SUBCASE("the wire's own failure") {
    Scripted body("gzip", {wire.substr(0, wire.size() / 2)}, Then::fail);
    CHECK(!body.read().empty());
    CHECK(body.code() == errc::truncated);
    body.read();
    CHECK(body.code() == errc::truncated);
  }
}

TEST_CASE("DecodingStream: is ready once there are bytes to give, or the end") {
  const auto encoder = encoder_of("gzip");
  Live body;
  CHECK(!body.stream->ready());
  const std::string first = encoder("first", Push::flush);
  for (const auto piece : cut(std::string_view(first).substr(0, 10), 1)) {
    body.source->send(piece);
    CHECK(!body.stream->ready());
  }
  body.source->send(std::string_view(first).substr(10));
  CHECK(body.stream->ready());
  CHECK(body.stream->stats().decoded == 0);
  CHECK(body.stream->pull(3, flow::Wait::never()).chunk.text() == "fir");
  CHECK(body.stream->ready());
  CHECK(body.stream->pull(kAnySize, flow::Wait::never()).chunk.text() == "st");
  CHECK(!body.stream->ready());
  body.source->send(encoder("", Push::finish));
  CHECK(!body.stream->ready());
  body.source->end();
  CHECK(body.stream->ready());
  CHECK(body.stream->pull(kAnySize, flow::Wait::never()).status == ReadStatus::end);
  CHECK(body.stream->stats().decoded == 5);
}

TEST_CASE("DecodingStream: is ready when the data turns out corrupt") {
  Live body;
  body.source->send("no gzip at all");
  CHECK(body.stream->ready());
  CHECK(body.pull_code() == errc::decode_failed);
  CHECK(body.exchange->cancelled());
  CHECK(body.pull_code() == errc::decode_failed);
}

TEST_CASE("DecodingStream: cancelling discards what is decoded already") {
  for (const bool by_token : {false, true}) {
    CAPTURE(by_token);
    Live body;
    body.source->send(encoded("gzip", std::string(1'000'000, 'x')));
    CHECK(body.stream->pull(10, flow::Wait::never()));
    if (by_token) {
      body.stop.request_stop();
    } else {
      body.stream->cancel();
    }
    CHECK(body.pull_code() == errc::aborted);
    CHECK(body.pull_code() == errc::aborted);
  }
}

TEST_CASE("DecodingStream: a client that goes discards what is decoded already") {
  Live body;
  body.source->send(encoded("gzip", std::string(1'000'000, 'x')));
  CHECK(body.stream->pull(10, flow::Wait::never()));
  body.source->fail({.code = errc::aborted});
  CHECK(body.pull_code() == errc::aborted);
}

TEST_CASE("DecodingStream: the stop of one read, and a deadline, leave the body whole") {
  Live body;
  body.source->send(encoded("gzip", "text").substr(0, 8));
  std::stop_source stop;
  stop.request_stop();
  CHECK(body.stream->pull(kAnySize, {.stop = stop.get_token()}).status == ReadStatus::stopped);
  const auto past = std::chrono::steady_clock::time_point::min();
  CHECK(body.stream->pull(kAnySize, {.deadline = past}).status == ReadStatus::pending);
  body.source->send(encoded("gzip", "text").substr(8));
  CHECK(body.stream->pull(kAnySize, {.stop = stop.get_token()}).status == ReadStatus::stopped);
  CHECK(body.stream->pull(kAnySize, {.deadline = past}).chunk.text() == "text");
}

TEST_CASE("DecodingStream: a read that may not wait gives up on a body without end or bytes") {
  const std::string start = empty_blocks(0);
  const std::string nothing = empty_blocks(60'000).substr(start.size());
  std::vector<std::string> pieces(200, nothing);
  pieces.front().insert(0, start);
  Scripted body("gzip", pieces, Then::hang);
  CHECK(body.stream.pull(kAnySize, flow::Wait::never()).status == ReadStatus::pending);
  CHECK(body.wire->log->asked.size() < 100);
}

TEST_CASE(
    "DecodingStream: a few bytes that are many without output do not hold up who may not wait") {
  const std::string wire = encoded("gzip", empty_blocks(8 << 20));
  CHECK(wire.size() < 64 * 1024);
  Scripted body("gzip, gzip", {wire}, Then::hang);
  const auto pull = [&](const flow::Wait& wait) { return body.stream.pull(kAnySize, wait).status; };
  CHECK(pull({.deadline = std::chrono::steady_clock::time_point::min()}) == ReadStatus::pending);
  CHECK(pull(flow::Wait::never()) == ReadStatus::pending);
  body.stream.cancel();
  CHECK(body.wire->log->asked.size() == 1);
}

TEST_CASE("DecodingStream: whoever waits for output that does not come lets others go first") {
  Live body("gzip, gzip", std::make_shared<flow::Continuations>(nullptr));
  body.source->send(encoded("gzip", empty_blocks(8 << 20)));
  CountedWaiter waiter;
  int looks = 0;
  do {
    body.stream->enlist(waiter);
    CHECK(!body.stream->ready());
    ++looks;
  } while (waiter.wakes == looks);
  CHECK(looks > 2);
  CHECK(waiter.wakes == looks - 1);
  CHECK(body.stream->withdraw(waiter));  // all was looked at: more bytes will wake it
}

TEST_CASE("DecodingStream: the limit of text() counts decoded bytes") {
  const std::string wire = encoded("gzip", std::string(100'000, 'x'));
  const auto body = [&] {
    return Body(std::make_unique<DecodingStream>(
        std::make_unique<ScriptedStream>(std::vector<std::string>{wire}), "gzip"));
  };
  CHECK(body().text(100'000).size() == 100'000);
  CHECK(code_of([&] { body().text(99'999); }) == errc::too_large);
  CHECK(code_of([&] { body().bytes(wire.size()); }) == errc::too_large);
}

TEST_CASE("DecodingStream: a reader that waits is woken by cancel()") {
  Scripted body("gzip", {encoded("gzip", "text").substr(0, 5)}, Then::hang);
  auto waiting = std::async(std::launch::async, [&] {
    return code_of([&] { body.stream.pull(kAnySize, flow::Wait::for_ever()); });
  });
  body.wire->wait_until_waiting();
  body.stream.cancel();
  CHECK(waiting.get() == errc::aborted);
}

TEST_SUITE_END();
