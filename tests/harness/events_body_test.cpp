#include "harness/events_body.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "decode/codings.hpp"
#include "h2_client.hpp"
#include "raw_client.hpp"
#include "weir/harness/firehose.hpp"

using namespace weir::harness;
using namespace weir::harness::test;
using namespace std::chrono_literals;
using Then = EventsPlan::Then;

namespace {

constexpr Clock::time_point kStart{1h};

EventsBody body_of(EventsPlan events) {
  BodyPlan plan;
  plan.events = std::move(events);
  return EventsBody(plan, kStart);
}

/// What is sent at that moment.
std::string sent(EventsBody& body, Clock::duration at) {
  body.fill(kStart + at);
  return std::exchange(body.bytes, {});
}

}  // namespace

TEST_SUITE_BEGIN("harness");

TEST_CASE("EventsBody: brings one event after the other, with what was asked for") {
  EventsBody body = body_of({.first = 9, .count = 2, .size = 4, .ids = true, .retry = 5ms});
  CHECK(sent(body, 0s) == "retry: 5\n\n");
  CHECK(sent(body, 0s) == "id: 9\ndata: 9...\n\n");
  CHECK(sent(body, 0s) == "id: 10\ndata: 10..\n\n");
  CHECK_FALSE(body.ended());
  CHECK(sent(body, 0s).empty());
  CHECK(body.ended());
}

TEST_CASE("EventsBody: the data may be given, or be the time at which the event was made") {
  EventsBody given = body_of({.count = 1, .data = "\xFFx", .size = 4});
  CHECK(sent(given, 0s) == "data: \xFFx..\n\n");
  const auto before = Clock::now().time_since_epoch();
  EventsBody stamped = body_of({.count = 1, .stamp = true});
  const std::chrono::nanoseconds stamp(std::stoll(sent(stamped, 0s).substr(6)));
  CHECK(stamp >= before);
  CHECK(stamp <= Clock::now().time_since_epoch());
}

TEST_CASE("EventsBody: what is encoded is flushed each time, and finished at the end") {
  EventsBody body = body_of({.count = 2, .codings = {"gzip"}, .interval = 10s, .retry = 7ms});
  std::string problem;
  const auto decoder = weir::decode::make_decoder("gzip", problem);
  const auto decoded = [&](const std::string& bytes) {
    std::vector<std::byte> out(1000);
    const auto step = decoder->step(std::as_bytes(std::span(bytes)), out);
    CHECK(step.consumed == bytes.size());
    return std::string(reinterpret_cast<const char*>(out.data()), step.produced);
  };
  CHECK(decoded(sent(body, 0s)) == "retry: 7\n\n");
  CHECK(decoded(sent(body, 0s)) == "data: 0\n\n");
  CHECK(sent(body, 5s).empty());
  CHECK(body.ready_at() == kStart + 10s);
  CHECK(decoded(sent(body, 10s)) == "data: 1\n\n");
  CHECK_FALSE(body.ended());
  body.fill(kStart + 10s);
  CHECK_FALSE(body.ended());  // its trailer is at hand
  CHECK(decoded(std::exchange(body.bytes, {})).empty());
  CHECK(decoder->whole());
  CHECK(body.ended());
}

TEST_CASE("EventsBody: what is at hand is sent before more is made") {
  EventsBody body = body_of({});
  body.fill(kStart);
  body.bytes.erase(0, 6);
  body.fill(kStart + 1s);
  CHECK(body.bytes == "0\n\n");
}

TEST_CASE("EventsBody: events and heartbeats come at their time") {
  EventsBody body = body_of({.count = 2, .interval = 10s, .heartbeat = 4s});
  CHECK(sent(body, 0s) == "data: 0\n\n");
  CHECK(sent(body, 0s).empty());
  CHECK(body.ready_at() == kStart + 4s);
  CHECK(sent(body, 4s) == ": heartbeat\n\n");
  CHECK(sent(body, 9s) == ": heartbeat\n\n");
  CHECK(sent(body, 9s).empty());
  CHECK(body.ready_at() == kStart + 10s);
  CHECK(sent(body, 10s) == "data: 1\n\n");
  CHECK(sent(body, 10s).empty());
  CHECK(body.ended());
}

TEST_CASE("EventsBody: after the last event it may fall silent, or only beat") {
  EventsBody silent = body_of({.count = 1, .heartbeat = 4s, .then = Then::silence});
  CHECK(sent(silent, 0s) == "data: 0\n\n");
  CHECK(sent(silent, 1h).empty());
  CHECK_FALSE(silent.ended());
  CHECK_FALSE(silent.ready_at());
  EventsBody beating = body_of({.count = 0, .heartbeat = 4s, .then = Then::heartbeats});
  CHECK(sent(beating, 0s).empty());
  CHECK(beating.ready_at() == kStart + 4s);
  CHECK(sent(beating, 4s) == ": heartbeat\n\n");
  CHECK_FALSE(beating.ended());
}

TEST_CASE("EventsBody: a burst is in one piece, and a large one in some") {
  EventsBody body = body_of({.count = 3, .burst = true, .interval = 1h});
  CHECK(sent(body, 0s) == "data: 0\n\ndata: 1\n\ndata: 2\n\n");
  CHECK(sent(body, 0s).empty());
  CHECK(body.ended());
  EventsBody large = body_of({.count = 100, .size = 1000, .burst = true});
  CHECK(sent(large, 0s).size() < 70'000);
  CHECK(sent(large, 0s).size() > 30'000);
  CHECK(sent(large, 0s).empty());
}

TEST_CASE("/sse: goes on after the last id, and 204 says that nothing is left") {
  const Firehose server;
  const char* const target = "/sse?events=3&ids=1&close_after=2";
  RawClient client(server.port());
  const RawResponse first = client.fetch(target);
  CHECK(first.has("Content-Type: text/event-stream\r\n"));
  CHECK(first.has("Transfer-Encoding: chunked\r\n"));
  CHECK(first.whole);
  CHECK(first.body == "id: 0\ndata: 0\n\nid: 1\ndata: 1\n\n");
  client.send(get(target, "Last-Event-ID: 1\r\n"));
  CHECK(client.response().body == "id: 2\ndata: 2\n\n");
  client.send(get(target, "Last-Event-ID: 2\r\n"));
  CHECK(client.response().status() == 204);
  client.send(get("/sse?events=3", "Last-Event-ID: 1\r\n"));
  CHECK(client.response().body == "data: 0\n\ndata: 1\n\ndata: 2\n\n");
}

TEST_CASE("/sse: each event is a chunk of its own, but in a burst") {
  const Firehose server;
  RawClient client(server.port());
  client.send(get("/sse?events=2", "Connection: close\r\n"));
  client.head();
  CHECK(client.rest() == "9\r\ndata: 0\n\n\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n");
  RawClient other(server.port());
  other.send(get("/sse?events=2&burst=1", "Connection: close\r\n"));
  other.head();
  CHECK(other.rest() == "12\r\ndata: 0\n\ndata: 1\n\n\r\n0\r\n\r\n");
}

TEST_CASE("/sse: comes at its pace, and beats, over HTTP/1.1 and HTTP/2") {
  const Firehose server({.http2 = true});
  const char* const target = "/sse?events=3&interval_ms=3";
  const char* const endless = "/sse?events=0&heartbeat_ms=1";
  RawClient client(server.port());
  CHECK(client.fetch(target).body == "data: 0\n\ndata: 1\n\ndata: 2\n\n");
  client.send(get(endless));
  client.head();
  CHECK(client.bytes(36) == "d\r\n: heartbeat\n\n\r\nd\r\n: heartbeat\n\n\r\n");
  H2Client http2(server);
  const H2Response& same = http2.fetch(target);
  CHECK(same.ended);
  CHECK(same.fields.at("content-type") == "text/event-stream");
  CHECK(same.body == "data: 0\n\ndata: 1\n\ndata: 2\n\n");
  CHECK(http2.fetch("/sse?close_after=0").ended);
  const std::int32_t beating = http2.request(endless);
  CHECK(http2.run_until([&] { return http2.of(beating).body.size() > 50; }));
  CHECK_FALSE(http2.of(beating).closed);
}

TEST_CASE("/sse: with swallow_fin it falls silent, and holds up no other") {
  const Firehose server({.http2 = true});
  H2Client client(server);
  const std::int32_t silent = client.request("/sse?close_after=1&swallow_fin=1&heartbeat_ms=1");
  CHECK(client.run_until([&] { return client.of(silent).body == "data: 0\n\n"; }));
  CHECK(client.fetch("/sse?events=5&burst=1").body.size() == 45);
  CHECK(client.round_trip());
  CHECK(client.of(silent).body == "data: 0\n\n");
  CHECK_FALSE(client.of(silent).closed);
  RawClient http1(server.port());
  http1.send(get("/sse?close_after=1&swallow_fin=1"));
  http1.head();
  CHECK(http1.bytes(12) == "9\r\ndata: 0\n\n");
  http1.close();
  CHECK(server.wait_for([](const FirehoseStats& now) { return now.connections_open == 1; }));
}

TEST_CASE("/chat: answers a POST token by token, until [DONE]") {
  const Firehose server({.http2 = true});
  const std::string answer =
      "data: {\"choices\":[{\"delta\":{\"content\":\"A\"}}]}\n\n"
      "data: {\"choices\":[{\"delta\":{\"content\":\" slow\"}}]}\n\ndata: [DONE]\n\n";
  RawClient client(server.port());
  client.send("POST /chat?tokens=2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}");
  const RawResponse got = client.response();
  CHECK(got.has("Content-Type: text/event-stream\r\n"));
  CHECK(got.body == answer);
  const RawResponse refused = client.fetch("/chat");
  CHECK(refused.status() == 405);
  CHECK(refused.has("Allow: POST\r\n"));
  H2Client http2(server);
  CHECK(http2.response(http2.request("/chat?tokens=2", "POST", "{}")).body == answer);
}

TEST_SUITE_END();
