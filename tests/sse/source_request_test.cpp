#include "sse/source_request.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <utility>

#include "api/scripted_stream.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;
using Kind = sse::Verdict::Kind;

namespace {

sse::Verdict verdict(int status, Headers headers = {}) {
  Response response;
  response.status = status;
  response.headers = std::move(headers);
  response.url = "http://h/";
  return sse::judge(response, std::chrono::system_clock::time_point());
}

}  // namespace

TEST_SUITE_BEGIN("sse");

TEST_CASE("SourceRequest: is the same each time, but for the last id") {
  RequestInit init;
  init.headers = {{"X-A", "b"}};
  init.body = "body";
  init.version = HttpVersion::http2;
  init.high_water = 5;
  init.decode = false;
  const sse::SourceRequest request(std::move(init), 9ms);
  for (const char* id : {"", "7", "8"}) {
    RequestInit next = request.next(id);
    CHECK(next.method == "POST");
    CHECK(next.headers.get("Accept") == "text/event-stream");
    CHECK(next.headers.get("Cache-Control") == "no-store");
    CHECK(next.headers.get("X-A") == "b");
    CHECK(next.headers.get("Last-Event-ID").value_or("") == id);
    CHECK(next.headers.has("Last-Event-ID") == (std::string(id) != ""));
    CHECK(next.body.text() == "body");
    CHECK(next.idle_timeout == 9ms);
    CHECK(next.version == HttpVersion::http2);
    CHECK(next.high_water == 5);
    CHECK_FALSE(next.decode);
  }
}

TEST_CASE("SourceRequest: the program's own fields stay, and no body is none") {
  RequestInit init;
  init.headers = {{"accept", "a/b"}, {"Cache-Control", "max-age=0"}, {"last-event-id", "1"}};
  const sse::SourceRequest request(std::move(init), 9ms);
  RequestInit next = request.next("2");
  CHECK(next.method.empty());
  CHECK_FALSE(next.body.length());
  CHECK(next.headers ==
        Headers{{"accept", "a/b"}, {"Cache-Control", "max-age=0"}, {"last-event-id", "2"}});
}

TEST_CASE("SourceRequest: a body that cannot be sent again is refused") {
  RequestInit streamed;
  streamed.body = Body(std::make_unique<ScriptedStream>(std::vector<std::string>{"a"}));
  CHECK(code_of([&] { sse::SourceRequest(std::move(streamed), 0ms); }) == errc::not_replayable);
  RequestInit used;
  used.body = "a";
  used.body.text();
  CHECK(code_of([&] { sse::SourceRequest(std::move(used), 0ms); }) == errc::body_used);
}

TEST_CASE("judge: events come with 200 and their type, whatever its parameters") {
  for (const char* type :
       {"text/event-stream", "Text/Event-Stream; charset=x", " text/event-stream ;"}) {
    CAPTURE(type);
    CHECK(verdict(200, {{"Content-Type", type}}).kind == Kind::events);
  }
  for (const char* type :
       {"", "text/html", "text/event-streams", "text/html; a=text/event-stream"}) {
    CAPTURE(type);
    CHECK(verdict(200, {{"Content-Type", type}}).kind == Kind::refused);
  }
  CHECK(verdict(200).failure->code == errc::bad_status);
  CHECK(verdict(200).failure->detail == "content type none");
}

TEST_CASE("judge: a status ends it, is refused, or passes") {
  CHECK(verdict(204).kind == Kind::over);
  for (const int status : {201, 206, 302, 400, 401, 404, 429, 500, 501, 505}) {
    CAPTURE(status);
    CHECK(verdict(status, {{"Content-Type", "text/event-stream"}}).kind == Kind::refused);
    CHECK(verdict(status).failure->status == status);
  }
  for (const int status : {502, 503, 504}) {
    CAPTURE(status);
    CHECK(verdict(status).kind == Kind::later);
    CHECK_FALSE(verdict(status).retry_after);
  }
  CHECK(verdict(429, {{"Retry-After", "7"}}).kind == Kind::later);
  CHECK(verdict(429, {{"Retry-After", "7"}}).retry_after == 7s);
  CHECK(verdict(503, {{"Retry-After", "8"}}).retry_after == 8s);
  CHECK_FALSE(verdict(502, {{"Retry-After", "8"}}).retry_after);
  CHECK(verdict(429, {{"Retry-After", "soon"}}).kind == Kind::refused);
}

TEST_SUITE_END();
