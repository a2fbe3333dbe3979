#include "net/response_head.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using weir::errc;
using weir::net::ResponseHead;
using Step = ResponseHead::Step;

namespace {

Step feed(ResponseHead& head, const std::vector<std::string>& lines) {
  Step step = Step::more;
  for (const auto& line : lines) {
    step = head.line(line);
    if (step == Step::failed) break;
  }
  return step;
}

ResponseHead roomy() { return {65536, 256}; }

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("ResponseHead: a plain head is complete at its empty line") {
  auto head = roomy();
  CHECK(feed(head, {"HTTP/1.1 200 OK\r\n", "Content-Length: 5\r\n", "X-A:  b \t\r\n"}) ==
        Step::more);
  CHECK_FALSE(head.complete());
  CHECK(head.line("\r\n") == Step::complete);
  CHECK(head.complete());
  CHECK(head.status() == 200);
  CHECK(head.length() == 5);
  CHECK(head.fields().get("x-a") == "b");
  CHECK(head.fields().size() == 2);
}

TEST_CASE("ResponseHead: interim responses are read and dropped") {
  auto head = roomy();
  CHECK(feed(head, {"HTTP/1.1 103 Early Hints\r\n", "Link: x\r\n", "\r\n"}) == Step::interim);
  CHECK(head.status() == 103);
  CHECK(feed(head, {"HTTP/1.1 100 Continue\r\n", "\r\n"}) == Step::interim);
  CHECK(feed(head, {"HTTP/1.1 404 Not Found\r\n", "A: 1\r\n", "\r\n"}) == Step::complete);
  CHECK(head.status() == 404);
  CHECK_FALSE(head.fields().has("link"));
}

TEST_CASE("ResponseHead: lines after the head are trailers") {
  auto head = roomy();
  feed(head, {"HTTP/1.1 200 OK\r\n", "A: 1\r\n", "\r\n"});
  SUBCASE("with the line that ends them") {
    CHECK(feed(head, {"Expires: never\r\n", "Digest: abc\r\n", "\r\n"}) == Step::more);
  }
  SUBCASE("without it") {
    CHECK(feed(head, {"Expires: never\r\n", "Digest: abc\r\n"}) == Step::more);
  }
  const auto trailers = head.trailers();
  CHECK(trailers.size() == 2);
  CHECK(trailers.get("digest") == "abc");
  CHECK(head.fields().size() == 1);
}

TEST_CASE("ResponseHead: a folded line continues the value before it") {
  auto head = roomy();
  CHECK(feed(head, {"HTTP/1.1 200 OK\r\n", "A: one\r\n", "  two\r\n", "\tthree\r\n", "\r\n"}) ==
        Step::complete);
  CHECK(head.fields().get("a") == "one two three");
}

TEST_CASE("ResponseHead: repeated fields are kept apart") {
  auto head = roomy();
  feed(head, {"HTTP/2 200 \r\n", "set-cookie: a=1\r\n", "set-cookie: b=2\r\n", "\r\n"});
  CHECK(head.fields().get_all("Set-Cookie") == std::vector<std::string>{"a=1", "b=2"});
}

TEST_CASE("ResponseHead: the version is that of the status line") {
  for (const char* line : {"HTTP/1.1 200 OK\r\n", "HTTP/1.0 200\r\n", "HTTP/1.9 200 OK\r\n"}) {
    CAPTURE(line);
    auto head = roomy();
    CHECK(feed(head, {line, "\r\n"}) == Step::complete);
    CHECK(head.version() == weir::HttpVersion::http1);
  }
  auto head = roomy();
  CHECK(feed(head, {"HTTP/2 200 \r\n", "\r\n"}) == Step::complete);
  CHECK(head.version() == weir::HttpVersion::http2);
}

TEST_CASE("ResponseHead: malformed heads are protocol errors") {
  const std::vector<std::vector<std::string>> rows{
      {"HTP/1.1 200 OK\r\n"},
      {"HTTP/1.1 20 OK\r\n"},
      {"HTTP/1.1 2000 OK\r\n"},
      {"HTTP/1.1 099 OK\r\n"},
      {"HTTP/1.1\r\n"},
      {"HTTP/2.0 200 OK\r\n"},
      {"HTTP/3 200 \r\n"},
      {"HTTP/0.9 200 OK\r\n"},
      {"HTTP/1 200 OK\r\n"},
      {"HTTP/1.10 200 OK\r\n"},
      {"HTTP/1.1 200 OK\r\n", " folded first\r\n"},
      {"HTTP/1.1 200 OK\r\n", "no colon\r\n"},
      {"HTTP/1.1 200 OK\r\n", "bad name: x\r\n"},
      {"HTTP/1.1 200 OK\r\n", ": x\r\n"},
      {"HTTP/1.1 200 OK\r\n", "A: a\rb\r\n"},
      {"HTTP/1.1 200 OK\r\n", "A: a\r\n", " b\rc\r\n"},
      {"HTTP/1.1 200 OK\r\n", std::string("A: a\0b\r\n", 8)},
      {"HTTP/1.1 200 OK\r\n", "Content-Length: 5\r\n", "Content-Length: 6\r\n", "\r\n"},
      {"HTTP/1.1 200 OK\r\n", "Content-Length: -1\r\n", "\r\n"},
      {"HTTP/1.1 200 OK\r\n", "Content-Length: 9223372036854775808\r\n", "\r\n"},
      {"HTTP/1.1 200 OK\r\n", "Content-Length: 5, 6\r\n", "\r\n"},
      {"HTTP/1.1 200 OK\r\n", "Content-Length: 5,\r\n", "\r\n"},
      {"HTTP/1.1 200 O\rK\r\n"},
      {"HTTP/1.1 200 OK\r\n", "Content-Length: 5\r\n", " 5\r\n", "\r\n"},
      {"HTTP/1.1 200 OK\r\n", "Transfer-Encoding:\r\n", " chunked\r\n", "\r\n"},
      {"HTTP/1.1 200 OK\r\n", "Transfer-Encoding: chunked, gzip\r\n", "\r\n"},
      {"HTTP/1.1 200 OK\r\n", "Transfer-Encoding: identity\r\n", "\r\n"},
      {"HTTP/1.1 101 Switching Protocols\r\n", "Upgrade: x\r\n", "\r\n"},
      {"HTTP/1.1 200 OK\r\n", "Content-Length: 99999999999999999999\r\n", "\r\n"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.back());
    auto head = roomy();
    CHECK(feed(head, row) == Step::failed);
    CHECK(head.failure().code == errc::protocol_error);
  }
}

TEST_CASE("ResponseHead: Content-Length does not count beside Transfer-Encoding") {
  auto head = roomy();
  feed(head,
       {"HTTP/1.1 200 OK\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "\r\n"});
  CHECK(head.complete());
  CHECK_FALSE(head.length().has_value());
}

TEST_CASE("ResponseHead: Content-Length may say the same several times") {
  for (const char* value : {"5", "5, 5", "5,5\t,5"}) {
    CAPTURE(value);
    auto head = roomy();
    feed(head, {"HTTP/1.1 200 OK\r\n", std::string("Content-Length: ") + value + "\r\n"});
    CHECK(feed(head, {"Content-Length: 5\r\n", "\r\n"}) == Step::complete);
    CHECK(head.length() == 5);
    CHECK_FALSE(head.must_close());
  }
}

TEST_CASE("ResponseHead: two framings, or one of another version, end the connection") {
  const auto must_close = [](const std::vector<std::string>& lines) {
    auto head = roomy();
    CHECK(feed(head, lines) == Step::complete);
    return head.must_close();
  };
  CHECK_FALSE(must_close({"HTTP/1.1 200 OK\r\n", "Transfer-Encoding: chunked\r\n", "\r\n"}));
  CHECK(must_close({"HTTP/1.0 200 OK\r\n", "Transfer-Encoding: chunked\r\n", "\r\n"}));
  CHECK(must_close(
      {"HTTP/1.1 200 OK\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "\r\n"}));
}

TEST_CASE("ResponseHead: fields that trailers must not have are dropped, folded lines with them") {
  auto head = roomy();
  feed(head, {"HTTP/1.1 200 OK\r\n", "\r\n"});
  CHECK(feed(head, {"content-length: 5\r\n", " folded\r\n", "A: b\r\n", "SET-COOKIE: c\r\n",
                    "\tfolded\r\n", "\r\n"}) == Step::more);
  CHECK(head.trailers() == weir::Headers{{"A", "b"}});
}

TEST_CASE("ResponseHead: limits hold while lines arrive, interim responses included") {
  SUBCASE("bytes") {
    ResponseHead head(64, 256);
    CHECK(feed(head, {"HTTP/1.1 200 OK\r\n", "A: " + std::string(60, 'x') + "\r\n"}) ==
          Step::failed);
    CHECK(head.failure().code == errc::too_large);
    CHECK(head.failure().detail.find("max_header_bytes (64)") != std::string::npos);
  }
  SUBCASE("fields") {
    ResponseHead head(65536, 2);
    CHECK(feed(head, {"HTTP/1.1 200 OK\r\n", "A: 1\r\n", "B: 2\r\n", "C: 3\r\n"}) == Step::failed);
    CHECK(head.failure().code == errc::too_large);
    CHECK(head.failure().detail.find("max_header_fields (2)") != std::string::npos);
  }
  SUBCASE("endless interim responses") {
    ResponseHead head(1024, 256);
    Step step = Step::more;
    int rounds = 0;
    while (step != Step::failed && ++rounds < 1000)
      step = feed(head, {"HTTP/1.1 103 Early Hints\r\n", "\r\n"});
    CHECK(step == Step::failed);
    CHECK(head.failure().code == errc::too_large);
  }
}

TEST_CASE("ResponseHead: restart forgets what was read") {
  auto head = roomy();
  feed(head, {"HTTP/1.1 200 OK\r\n", "Content-Length: 5\r\n", "A: 1\r\n"});
  head.restart();
  CHECK_FALSE(head.started());
  CHECK(feed(head, {"HTTP/1.1 204 No Content\r\n", "\r\n"}) == Step::complete);
  CHECK(head.fields().empty());
  CHECK_FALSE(head.length().has_value());
}

TEST_SUITE_END();
