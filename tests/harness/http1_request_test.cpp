#include "harness/http1_request.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace weir::harness;

namespace {

std::optional<Refusal> parse(std::string_view text, Request& request) {
  return parse_head(text, request);
}

int status_of(std::string_view text) {
  Request request;
  const auto why = parse(text, request);
  return why ? why->status : 200;
}

// Decodes `wire`, given `piece` bytes at a time. "BAD" at the end: the framing is broken.
std::string decoded(const Request& request, std::string_view wire, std::size_t piece,
                    std::size_t& consumed) {
  BodyDecoder decoder(request);
  std::string body;
  consumed = 0;
  while (!decoder.done() && consumed < wire.size()) {
    const auto part = wire.substr(consumed, piece);
    const auto step = decoder.next(std::as_bytes(std::span(part)), 3);
    if (step.bad) return body + "BAD";
    body.append(reinterpret_cast<const char*>(step.data.data()), step.data.size());
    consumed += step.consumed;
  }
  return decoder.done() ? body : body + "MORE";
}

Request framed(BodyFraming framing, std::uint64_t length = 0) {
  Request request;
  request.framing = framing;
  request.length = length;
  return request;
}

}  // namespace

TEST_SUITE("harness") {
  TEST_CASE("parse_head: takes a request apart") {
    Request request;
    const std::string text =
        "POST /a/b?x=1&y HTTP/1.1\r\nHost: h\r\nX-Empty:\r\nContent-Length:  12 \r\n"
        "Expect: 100-continue\r\n\r\n";
    REQUIRE_FALSE(parse(text, request));
    CHECK(request.method == "POST");
    CHECK(request.path == "/a/b");
    CHECK(request.query == "x=1&y");
    CHECK(request.target() == "/a/b?x=1&y");
    CHECK(request.head == text);
    CHECK(request.fields.at(1) == std::pair<std::string, std::string>("x-empty", ""));
    CHECK(request.framing == BodyFraming::length);
    CHECK(request.length == 12);
    CHECK(request.expects_continue);
    CHECK(request.keep_alive);
  }

  TEST_CASE("parse_head: knows when the connection ends") {
    Request request;
    REQUIRE_FALSE(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n", request));
    CHECK_FALSE(request.keep_alive);
    REQUIRE_FALSE(parse("GET / HTTP/1.0\r\n\r\n", request));
    CHECK_FALSE(request.keep_alive);
    REQUIRE_FALSE(parse("GET http://h:1/x?y HTTP/1.1\r\nHost: h\r\n\r\n", request));
    CHECK(request.target() == "/x?y");
  }

  TEST_CASE("parse_head: refuses what is not a strict request") {
    const std::string host = "Host: h\r\n";
    CHECK(status_of("GET / HTTP/1.1\r\n" + host + "\r\n") == 200);
    for (const std::string& text :
         {std::string("GET /\r\n\r\n"), "GET  / HTTP/1.1\r\n" + host + "\r\n",
          "G@T / HTTP/1.1\r\n" + host + "\r\n", "GET x HTTP/1.1\r\n" + host + "\r\n",
          "GET /a b HTTP/1.1\r\n" + host + "\r\n", "GET / HTTP/1.1 \r\n" + host + "\r\n",
          "GET / http/1.1\r\n" + host + "\r\n", std::string("GET / HTTP/1.1\r\n\r\n"),
          "GET / HTTP/1.1\r\n" + host + host + "\r\n",
          "GET / HTTP/1.1\r\n" + host + "No colon\r\n\r\n",
          "GET / HTTP/1.1\r\n" + host + "Space : x\r\n\r\n",
          "GET / HTTP/1.1\r\n" + host + "A: b\r\n folded\r\n\r\n",
          "GET / HTTP/1.1\r\n" + host + "A: b\nC: d\r\n\r\n",
          "GET / HTTP/1.1\r\n" + host + "Content-Length: 1x\r\n\r\n",
          "GET / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n",
          "GET / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
          "GET / HTTP/1.1\r\n" + host +
              "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
      CAPTURE(text);
      CHECK(status_of(text) == 400);
    }
    CHECK(status_of("GET / HTTP/2.0\r\n" + host + "\r\n") == 505);
    CHECK(status_of("GET / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n") == 501);
    CHECK(status_of("GET / HTTP/1.1\r\n" + host + "Expect: cake\r\n\r\n") == 417);
  }

  TEST_CASE("head_size: finds the end however the head comes in") {
    const std::string text = "GET / HTTP/1.1\r\nHost: h\r\n\r\nrest";
    for (std::size_t first = 0; first < text.size(); ++first) {
      CAPTURE(first);
      const auto early = head_size(text.substr(0, first), 0);
      CHECK(early.has_value() == (first >= text.size() - 4));
      CHECK(head_size(text, early ? 0 : first) == text.size() - 4);
    }
  }

  TEST_CASE("BodyDecoder: takes chunks apart at every fragment size") {
    const std::string wire = "5\r\nhello\r\n00A;x=\"y\"\r\n, harness!\r\n0\r\nT: u\r\n\r\nnext";
    for (const unsigned piece : {1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 16U, 31U, 1000U}) {
      CAPTURE(piece);
      std::size_t consumed = 0;
      CHECK(decoded(framed(BodyFraming::chunked), wire, piece, consumed) == "hello, harness!");
      CHECK(wire.substr(consumed) == "next");
      CHECK(decoded(framed(BodyFraming::length, 6), "abcdefgh", piece, consumed) == "abcdef");
      CHECK(consumed == 6);
    }
  }

  TEST_CASE("BodyDecoder: refuses broken chunks") {
    for (const char* wire : {"x\r\n", "\r\n", "5\nhello", "5\r\nhelloX", "5\r\nhello\r\r", "5 \n",
                             "11112222333344445\r\n", "0\r\nT\n", "0\r\n\rx"}) {
      for (const unsigned piece : {1U, 2U, 100U}) {
        CAPTURE(wire);
        std::size_t consumed = 0;
        const std::string got = decoded(framed(BodyFraming::chunked), wire, piece, consumed);
        CHECK(got.substr(got.size() - std::min<std::size_t>(got.size(), 3)) == "BAD");
      }
    }
  }

  TEST_CASE("BodyDecoder: does not take extensions and trailers without end") {
    std::size_t consumed = 0;
    const std::string extension = "5;" + std::string(70'000, 'x');
    CHECK(decoded(framed(BodyFraming::chunked), extension, 4096, consumed) == "BAD");
    const std::string trailer = "0\r\nT: " + std::string(70'000, 'x');
    CHECK(decoded(framed(BodyFraming::chunked), trailer, 4096, consumed) == "BAD");
  }
}
