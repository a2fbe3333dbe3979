#include "api/channel_stream.hpp"

#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "api/scripted_stream.hpp"
#include "support/fake_hub.hpp"
#include "weir/error.hpp"

using namespace weir;
using namespace weir::test;
using detail::ChannelStream;

namespace {

constexpr std::size_t kAnySize = 1 << 20;
constexpr const char* kShown = "http://localhost/path";

/// An exchange whose server is the test.
struct Fixture {
  explicit Fixture(std::stop_token stop = {})
      : exchange(std::make_shared<net::Exchange>(hub, flow::Watermarks{}, request())),
        source(*hub, exchange),
        stream(std::make_unique<ChannelStream>(exchange, std::move(stop))) {}

  static net::Request request() {
    net::Request request;
    request.url = "http://user:secret@localhost/path";
    return request;
  }
  /// The response up to its body.
  void respond(std::optional<std::uint64_t> length = {}) {
    exchange->head.status = 203;
    exchange->head.url = kShown;
    exchange->head.length = length;
    source.open();
    stream->wait_for_head();
  }
  ReadResult pull() { return stream->pull(kAnySize, flow::Wait::never()); }
  Error pull_error() {
    try {
      pull();
    } catch (const Error& error) {
      return error;
    }
    FAIL("nothing was thrown");
    return Error(Failure{});
  }

  std::shared_ptr<FakeHub> hub = std::make_shared<FakeHub>();
  std::shared_ptr<net::Exchange> exchange;
  FakeSource source;
  std::unique_ptr<ChannelStream> stream;

  ~Fixture() {
    stream.reset();
    hub->run_until_idle();
    hub->shut();
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;
};

}  // namespace

TEST_SUITE("api") {
  TEST_CASE("ChannelStream: brings the head, the bytes, the end, and then the trailers") {
    Fixture fixture;
    fixture.respond(5);
    CHECK(fixture.stream->length() == 5);
    CHECK(fixture.pull().status == ReadStatus::pending);
    fixture.source.send("abc");
    fixture.source.send("de", true);
    fixture.exchange->trailers = {{"After", "1"}};
    CHECK(fixture.stream->pull(2, flow::Wait::never()).chunk.text() == "ab");
    CHECK(fixture.stream->trailers().empty());
    CHECK(fixture.pull().chunk.text() == "cde");
    fixture.source.end();
    CHECK(fixture.stream->trailers().empty());
    CHECK(fixture.pull().status == ReadStatus::end);
    CHECK(fixture.pull().status == ReadStatus::end);
    CHECK(fixture.stream->trailers() == Headers{{"After", "1"}});
    CHECK(fixture.stream->stats().received == 5);
    CHECK(fixture.stream->stats().decoded == 5);
  }

  TEST_CASE("ChannelStream: a failure before the head knows the URL, without credentials") {
    Fixture fixture;
    SUBCASE("of the transport") { fixture.source.fail({.code = errc::connect_failed}); }
    SUBCASE("of this side") { fixture.stream->cancel(); }
    for (int again = 0; again < 2; ++again) {
      try {
        fixture.stream->wait_for_head();
        FAIL("nothing was thrown");
      } catch (const Error& error) {
        CHECK((error.code() == errc::connect_failed || error.code() == errc::aborted));
        CHECK(error.url() == kShown);
        CHECK(error.status() == 0);
      }
    }
  }

  TEST_CASE("ChannelStream: a failure of the body is told after its bytes, always the same") {
    Fixture fixture;
    fixture.respond();
    fixture.source.send("abc");
    fixture.source.fail({.code = errc::truncated, .detail = "cut"});
    CHECK(fixture.pull().chunk.text() == "abc");
    for (int again = 0; again < 3; ++again) {
      const Error error = fixture.pull_error();
      CHECK(error.code() == errc::truncated);
      CHECK(error.detail() == "cut");
      CHECK(error.url() == kShown);
      CHECK(error.status() == 203);
      CHECK(error.bytes_received() == 3);
      CHECK(fixture.stream->trailers().empty());
    }
  }

  TEST_CASE("ChannelStream: what the transport says of its failure is kept") {
    Fixture fixture;
    fixture.respond();
    fixture.source.fail(
        {.code = errc::truncated, .url = "http://other/", .bytes_received = 77, .status = 500});
    const Error error = fixture.pull_error();
    CHECK(error.url() == "http://other/");
    CHECK(error.bytes_received() == 77);
    CHECK(error.status() == 500);
  }

  TEST_CASE("ChannelStream: cancel() discards, aborts, and knows the URL and what had arrived") {
    Fixture fixture;
    fixture.respond();
    fixture.source.send("abc");
    fixture.stream->cancel();
    fixture.hub->run_until_idle();
    CHECK(fixture.source.cancelled() == 1);
    for (int again = 0; again < 2; ++again) {
      const Error error = fixture.pull_error();
      CHECK(error.code() == errc::aborted);
      CHECK(error.url() == kShown);
      CHECK(error.status() == 203);
      CHECK(error.bytes_received() == 3);
      fixture.stream->cancel();
    }
    fixture.hub->run_until_idle();
    CHECK(fixture.source.cancelled() == 1);
  }

  TEST_CASE("ChannelStream: destruction cancels, unless the end was read") {
    Fixture fixture;
    fixture.respond();
    SUBCASE("unread") {
      fixture.stream.reset();
      fixture.hub->run_until_idle();
      CHECK(fixture.source.cancelled() == 1);
    }
    SUBCASE("read") {
      fixture.source.end();
      CHECK(fixture.pull().status == ReadStatus::end);
      fixture.stream.reset();
      fixture.hub->run_until_idle();
      CHECK(fixture.source.cancelled() == 0);
      CHECK(!fixture.exchange->cancelled());
    }
  }

  TEST_CASE("ChannelStream: a stop request cancels in every phase but after the end") {
    std::stop_source stop;
    SUBCASE("before the exchange") {
      stop.request_stop();
      const Fixture fixture(stop.get_token());
      CHECK(fixture.exchange->cancelled());
      CHECK(code_of([&] { fixture.stream->wait_for_head(); }) == errc::aborted);
    }
    SUBCASE("before the head") {
      const Fixture fixture(stop.get_token());
      stop.request_stop();
      CHECK(code_of([&] { fixture.stream->wait_for_head(); }) == errc::aborted);
    }
    SUBCASE("in the body") {
      Fixture fixture(stop.get_token());
      fixture.respond();
      fixture.source.send("abc");
      CHECK(fixture.stream->pull(1, flow::Wait::never()).chunk.text() == "a");
      stop.request_stop();
      CHECK(code_of([&] { fixture.pull(); }) == errc::aborted);
    }
    SUBCASE("after the end") {
      Fixture fixture(stop.get_token());
      fixture.respond();
      fixture.source.end();
      CHECK(fixture.pull().status == ReadStatus::end);
      stop.request_stop();
      CHECK(fixture.pull().status == ReadStatus::end);
      CHECK(!fixture.exchange->cancelled());
    }
    SUBCASE("after a failure") {
      Fixture fixture(stop.get_token());
      fixture.respond();
      fixture.source.fail({.code = errc::truncated});
      CHECK(code_of([&] { fixture.pull(); }) == errc::truncated);
      stop.request_stop();
      CHECK(code_of([&] { fixture.pull(); }) == errc::truncated);
    }
    SUBCASE("after destruction") {
      Fixture fixture(stop.get_token());
      fixture.stream.reset();
      stop.request_stop();
      fixture.hub->run_until_idle();
      CHECK(fixture.source.cancelled() == 1);
    }
  }

  TEST_CASE("ChannelStream: a stop request wakes a read that waits") {
    std::stop_source stop;
    Fixture fixture(stop.get_token());
    fixture.respond();
    auto code = std::async(std::launch::async, [&] {
      return code_of([&] { fixture.stream->pull(kAnySize, flow::Wait::for_ever()); });
    });
    stop.request_stop();
    CHECK(code.get() == errc::aborted);
  }

  TEST_CASE("ChannelStream: a stop request may race with its destruction") {
    for (int round = 0; round < 200; ++round) {
      std::stop_source stop;
      Fixture fixture(stop.get_token());
      std::thread other([&] { stop.request_stop(); });
      fixture.stream.reset();
      other.join();
      CHECK(fixture.exchange->cancelled());
    }
  }
}
