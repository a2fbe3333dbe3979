#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "backpressure/checked.hpp"
#include "backpressure/wire.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/harness/slow_reader.hpp"
#include "weir/weir.hpp"

using namespace std::chrono_literals;
using namespace weir;
using namespace weir::test;
using harness::BodyState;
using harness::Firehose;
using harness::FirehoseStats;
using std::chrono::steady_clock;

namespace {

constexpr std::uint64_t kSent = 600'000;  // more than the unread mark, less than the kernel takes

std::string url_of(const Firehose& server, std::uint64_t size, const std::string& more) {
  return server.url("/bytes/" + std::to_string(size) + "?seed=2" + more);
}

bool wait_for_end(const Firehose& server, BodyState state) {
  return server.wait_for([state](const FirehoseStats& now) {
    return !now.bodies.empty() && now.bodies.back().state == state;
  });
}

bool wait_for_no_connection(const Firehose& server) {
  return server.wait_for([](const FirehoseStats& now) { return now.connections_open == 0; });
}

/// Waits until no transfer of `client` is under way.
bool wait_until_idle(const Client& client) {
  for (int looks = 0; looks < 3000; ++looks) {
    if (client.stats().active == 0) return true;
    let_pass(10ms);
  }
  return false;
}

}  // namespace

TEST_SUITE_BEGIN("backpressure");

TEST_CASE("A peer that closes while the body is paused is found behind all bytes it sent") {
  for (const Protocol& protocol : kProtocols) {
    CAPTURE(protocol.name);
    Firehose server(protocol.server());
    Client client(trusting(server, protocol));
    Response response =
        client.fetch(url_of(server, 16 * kMiB, "&cut_after=" + std::to_string(kSent)));
    REQUIRE(wait_for_end(server, BodyState::cut));
    REQUIRE(wait_until_paused(client));
    const std::uint64_t arrived = response.body.stats().received;
    CHECK(arrived < kUnreadHighWater + kOneWrite);
    Reader reader = response.body.reader();
    Tally tally(2);
    tally.read(reader);
    CHECK(tally.bytes == kSent);
    CHECK(!tally.wrong);
    CHECK(tally.failed_with(errc::truncated));
    CHECK(Tally().read(reader).failed_with(errc::truncated));
    CHECK(client.stats().pauses == client.stats().resumes);
    CHECK(client.stats().queue_memory == 0);
  }
}

TEST_CASE("A peer that resets while the body is paused is found behind the bytes that arrived") {
  for (const Protocol& protocol : kProtocols) {
    CAPTURE(protocol.name);
    Firehose server(protocol.server());
    Client client(trusting(server, protocol));
    Response response =
        client.fetch(url_of(server, 16 * kMiB, "&rst_after=" + std::to_string(kSent)));
    REQUIRE(wait_for_end(server, BodyState::cut));
    if (!protocol.http2()) REQUIRE(wait_for_no_connection(server));  // else a stream was reset
    REQUIRE(wait_until_paused(client));
    const std::uint64_t arrived = response.body.stats().received;
    Reader reader = response.body.reader();
    Tally tally(2);
    tally.read(reader);
    CHECK(arrived >= kUnreadHighWater);
    CHECK(tally.bytes >= arrived);
    CHECK(tally.bytes <= kSent);
    CHECK(!tally.wrong);
    CHECK(tally.failed_with(errc::truncated));
    CHECK(balanced(client.stats()));
    CHECK(client.stats().paused == 0);
    MESSAGE("reset while paused", over(protocol), ": ", arrived, " bytes had arrived, ",
            tally.bytes, " of ", kSent, " were read");
  }
}

TEST_CASE("A peer that dies in the middle of a stalled body is found behind what was queued") {
  for (const std::string how : {"cut", "rst"}) {
    CAPTURE(how);
    Firehose server;
    Client client;
    // All of it leaves the server: what the queue does not hold, the kernel does.
    Response response = client.fetch(
        url_of(server, 64 * kMiB, "&" + how + "_after=" + std::to_string(kHighWater + kMiB)));
    Reader reader = response.body.reader();
    Tally tally(2);
    tally.read(reader, 1);
    REQUIRE(wait_for_end(server, BodyState::cut));
    REQUIRE(wait_until_paused(client));
    const BodyStats stalled = reader.stats();
    tally.read(reader);
    CHECK(tally.bytes >= stalled.received);
    CHECK(!tally.wrong);
    CHECK(tally.failed_with(errc::truncated));
    if (how == "cut") CHECK(tally.bytes == kHighWater + kMiB);
    CHECK(tally.error->bytes_received() == tally.bytes);
  }
}

TEST_CASE("A server that wants its PINGs answered cuts a paused HTTP/2 body, and no other") {
  for (const Protocol& protocol : kProtocols) {
    CAPTURE(protocol.name);
    harness::FirehoseOptions options = protocol.server();
    options.ping_interval = 100ms;
    options.ping_timeout = 300ms;
    Firehose server(options);
    Client client(trusting(server, protocol));
    Response response = client.fetch(url_of(server, 16 * kMiB, ""));
    REQUIRE(wait_until_paused(client));
    const std::uint64_t arrived = response.body.stats().received;
    if (protocol.http2()) {
      REQUIRE(server.wait_for([](const FirehoseStats& now) { return now.ping_cuts == 1; }));
    } else {
      let_pass(1000ms);
    }
    Reader reader = response.body.reader();
    Tally tally(2);
    tally.read(reader);
    CHECK(!tally.wrong);
    CHECK(tally.bytes >= arrived);
    CHECK(tally.failed_with(errc::truncated) == protocol.http2());
    CHECK(tally.is_whole(16 * kMiB) != protocol.http2());
  }
}

TEST_CASE("A body that was sent whole while it was paused ends after its last byte") {
  for (const Protocol& protocol : kProtocols) {
    CAPTURE(protocol.name);
    for (const std::string framing : {"", "&chunked=1", "&no_length=1"}) {
      CAPTURE(framing);
      Firehose server(protocol.server());
      Client client(trusting(server, protocol));
      Response response = client.fetch(url_of(server, kSent, framing));
      REQUIRE(wait_for_end(server, BodyState::finished));
      REQUIRE(wait_until_paused(client));
      Reader reader = response.body.reader();
      CHECK(Tally(2).read(reader).is_whole(kSent));
      CHECK(reader.stats().pauses == reader.stats().resumes);
      CHECK(reader.stats().pauses >= 1);
      CHECK(client.stats().active == 0);
    }
  }
}

TEST_CASE("The idle timeout does not run while the body is paused") {
  for (const Protocol& protocol : kProtocols) {
    CAPTURE(protocol.name);
    Firehose server(protocol.server());
    Client client(trusting(server, protocol));
    Response response = client.fetch(url_of(server, 16 * kMiB, ""), {.idle_timeout = 250ms});
    REQUIRE(wait_until_paused(client));
    let_pass(750ms);
    CHECK(client.stats().active == 1);
    Reader reader = response.body.reader();
    Tally tally(2);
    tally.read(reader, kHighWater);
    REQUIRE(wait_until_paused(client));
    let_pass(750ms);
    CHECK(client.stats().active == 1);
    CHECK(tally.read(reader).is_whole(16 * kMiB));
    CHECK(reader.stats().paused_for >= 1500ms);
  }
}

TEST_CASE("The idle timeout starts anew and in full when the body goes on") {
  Firehose server;
  Client client;
  const auto idle = 300ms;
  Response response = client.fetch(
      url_of(server, 16 * kMiB, "&stall_after=" + std::to_string(kSent)), {.idle_timeout = idle});
  REQUIRE(server.wait_for([](const FirehoseStats& now) { return now.bytes_accepted == kSent; }));
  REQUIRE(wait_until_paused(client));
  let_pass(2 * idle);
  const auto resumed = steady_clock::now();
  Reader reader = response.body.reader();
  Tally tally(2);
  tally.read(reader);
  const auto waited = steady_clock::now() - resumed;
  CHECK(tally.bytes == kSent);
  CHECK(!tally.wrong);
  CHECK(tally.failed_with(errc::timed_out));
  CHECK(tally.error->detail().find("idle_timeout") != std::string::npos);
  CHECK(waited >= idle);
  MESSAGE("idle timeout of ", idle.count(), " ms came ",
          std::chrono::duration_cast<std::chrono::milliseconds>(waited).count(),
          " ms after the resume");
}

TEST_CASE("A body that nobody reads for the consumer timeout fails behind what was queued") {
  for (const Protocol& protocol : kProtocols) {
    CAPTURE(protocol.name);
    Firehose server(protocol.server());
    Client client(trusting(server, protocol));
    const auto begun = steady_clock::now();
    Response response = client.fetch(url_of(server, 16 * kMiB, ""), {.consumer_timeout = 200ms});
    REQUIRE(wait_until_idle(client));
    CHECK(steady_clock::now() - begun >= 200ms);
    REQUIRE(wait_for_end(server, BodyState::vanished));
    const std::uint64_t queued = response.body.stats().queued;
    CHECK(queued >= kUnreadHighWater);
    Reader reader = response.body.reader();
    Tally tally(2);
    tally.read(reader);
    CHECK(tally.bytes == queued);
    CHECK(!tally.wrong);
    CHECK(tally.failed_with(errc::consumer_stalled));
    CHECK(client.stats().cancelled_while_paused == 1);
    CHECK(balanced(client.stats()));
    CHECK(client.stats().queue_memory == 0);
  }
}

TEST_CASE("The consumer timeout spares a body that is read, and one that waits for the server") {
  Firehose server;
  Client client;
  Response read_on = client.fetch(url_of(server, 64 * kMiB, ""), {.consumer_timeout = 1000ms});
  Reader reader = read_on.body.reader();
  CHECK(Tally(2).read(reader).is_whole(64 * kMiB));
  Response slow = client.fetch(url_of(server, kSent, "&stall_after=1000&stall_ms=500"),
                               {.consumer_timeout = 100ms});
  Reader waiting = slow.body.reader();
  CHECK(Tally(2).read(waiting).is_whole(kSent));
}

TEST_CASE(
    "The consumer timeout spares a body that is read slowly, though it stays paused for longer") {
  Firehose server;
  Client client;
  // It resumes only when it is empty: paused once, for about twice the timeout.
  Response response =
      client.fetch(url_of(server, 3 * kMiB, ""),
                   {.consumer_timeout = 1000ms, .high_water = kMiB, .low_water = 1});
  const harness::SlowReaderReport report = harness::slow_read(
      client, std::move(response.body), {.rate = kMiB / 2, .cancel_after = 2 * kMiB - 1});
  CHECK(report.body.pauses > 0);
  CHECK(report.body.paused_for >= 1000ms);
  CHECK_FALSE(report.failure.has_value());
}

TEST_SUITE_END();
