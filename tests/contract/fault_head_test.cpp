#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>

#include "contract/raw_server.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::string_view_literals;

// Response heads of HTTP/1 that break the rules, and those that must be borne with.

namespace {

struct Refused {
  std::string_view head;  // without its last empty line, or all there is
  errc code = errc::protocol_error;
};

constexpr Refused kStatusLines[] = {
    {"HTTP/1.1"sv},
    {"HTTP/1.1 "sv},
    {"HTTP/1.1 OK"sv},
    {"HTTP/1.1 99 Low"sv},
    {"HTTP/1.1 099 Low"sv},
    {"HTTP/1.1 000 Low"sv},
    {"HTTP/1.1 1000 High"sv},
    {"HTTP/1.1 20 OK"sv},
    {"HTTP/1.1 2x0 OK"sv},
    {"HTTP/1.1 -200 OK"sv},
    {"HTTP/1.1 +200 OK"sv},
    {"HTTP/1.1 200.0 OK"sv},
    {"HTTP/1.1 200OK"sv},
    {"HTTP/1.1  200 OK"sv},
    {"HTTP/1.1\t200 OK"sv},
    {"HTTP/1.1 200\tOK"sv},
    {" HTTP/1.1 200 OK"sv},
    {"\r\nHTTP/1.1 200 OK"sv},
    {"HTTP/0.9 200 OK"sv},
    {"HTTP/1.2 200 OK"sv},  // libcurl refuses what RFC 9110 section 2.5 would bear with
    {"HTTP/1 200 OK"sv},
    {"HTTP/1.10 200 OK"sv},
    {"HTTP/11.1 200 OK"sv},
    {"HTTP/1,1 200 OK"sv},
    {"HTTP/1.1/200 OK"sv},
    {"HTTP 200 OK"sv},
    {"HTTP/2.0 200 OK"sv},
    {"HTTP/3 200 OK"sv},
    {"http/1.1 200 OK"sv},
    {"HTTPS/1.1 200 OK"sv},
    {"ICY 200 OK"sv},
    {"RTSP/1.0 200 OK"sv},
    {"GET / HTTP/1.1"sv},
    {"<html>an answer of HTTP/0.9</html>"sv},
    {"\0"sv},
    {"HTTP/1.1 200 O\0K"sv},
    {"HTTP/1.1 200 O\rK"sv},
    {"HTTP/1.1 200 OK\r"sv},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket"sv},
};

constexpr std::string_view kFields[] = {
    "no colon"sv,
    "A : space before the colon"sv,
    "A\t: b"sv,
    " A: folded, with nothing before"sv,
    ": no name"sv,
    " : no name"sv,
    "A b: space in the name"sv,
    "A\x01: b"sv,
    "A\x7f: b"sv,
    "\xc3\xa9: b"sv,
    "A(: b"sv,
    "A\0: b"sv,
    "\"A\": b"sv,
    "A: lone\rCR"sv,
    "A: b\r"sv,
    "A\r: b"sv,
    "\rA: b"sv,
    "A: b\r\n\r"sv,
    "A: NU\0L"sv,
    "A: b\r\n folded \r CR"sv,
    "A: b\r\n folded \0 NUL"sv,
};

// What a body of "ok" has in front of it.
constexpr std::string_view kFramings[] = {
    "Content-Length: 2\r\nContent-Length: 3"sv,
    "Content-Length: 2, 3"sv,
    "Content-Length: 2,02"sv,
    "Content-Length: 2,"sv,
    "Content-Length: ,2"sv,
    "Content-Length: 2, 2\r\nContent-Length: 3"sv,
    "Content-Length:"sv,
    "Content-Length: -2"sv,
    "Content-Length: +2"sv,
    "Content-Length: 2.0"sv,
    "Content-Length: 2e0"sv,
    "Content-Length: 0x2"sv,
    "Content-Length: 2 2"sv,
    "Content-Length: 2;"sv,
    "Content-Length: \"2\""sv,
    "Content-Length: two"sv,
    "Content-Length: \x0b"
    "2"sv,
    "Content-Length: 9223372036854775808"sv,
    "Content-Length: 18446744073709551618"sv,  // 2^64 + 2
    "Content-Length: 1000000000000000000000000000000000000002"sv,
    "Content-Length: 2\r\n 2"sv,
    "Content-Length:\r\n 2"sv,
    "Content-Length : 2"sv,
    "Transfer-Encoding : chunked"sv,
    "Transfer-Encoding:"sv,
    "Transfer-Encoding:\r\n chunked"sv,
    "Transfer-Encoding: identity"sv,
    "Transfer-Encoding: gzip"sv,
    "Transfer-Encoding: gzip, chunked"sv,
    "Transfer-Encoding: chunked, gzip"sv,
    "Transfer-Encoding: chunked, chunked"sv,
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"sv,
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"sv,
    "Transfer-Encoding: identity, chunked"sv,
    "Transfer-Encoding: chunked, identity"sv,
    "Transfer-Encoding: xchunked"sv,
    "Transfer-Encoding: chunkedx"sv,
    "Transfer-Encoding: chunked;q=1"sv,
    "Transfer-Encoding: \x0b"
    "chunked"sv,
    "Transfer-Encoding: \"chunked\""sv,
    "Transfer-Encoding: chunked,"sv,
    "Content-Length: 2\r\nTransfer-Encoding: xchunked"sv,
};

template <class T>
void check_refused(T& server, const Got& got, errc code) {
  CHECK(got.error == code);
  CHECK(got.status == 0);
  CHECK(got.bytes_received == 0);
  CHECK(got.url == server.url());
  CHECK(!got.detail.empty());
  CHECK(!got.retryable);
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("fetch: a malformed status line is a protocol_error", T, PlainServer,
                     TlsServer) {
    T server;
    for (const Refused& row : kStatusLines) {
      CAPTURE(row.head);
      const std::string head(row.head);
      check_refused(server, server.get(head + "\r\nContent-Length: 2\r\n\r\nok"), row.code);
    }
  }

  TEST_CASE_TEMPLATE("fetch: a malformed field is a protocol_error", T, PlainServer, TlsServer) {
    T server;
    for (const auto field : kFields) {
      CAPTURE(field);
      const std::string head = "HTTP/1.1 200 OK\r\n" + std::string(field);
      check_refused(server, server.get(head + "\r\nContent-Length: 2\r\n\r\nok"),
                    errc::protocol_error);
    }
  }

  TEST_CASE_TEMPLATE("fetch: a length that can be read in two ways is a protocol_error", T,
                     PlainServer, TlsServer) {
    T server;
    for (const auto framing : kFramings) {
      CAPTURE(framing);
      const std::string head = "HTTP/1.1 200 OK\r\n" + std::string(framing);
      check_refused(server, server.get(head + "\r\n\r\nok"), errc::protocol_error);
    }
  }

  TEST_CASE_TEMPLATE("fetch: a head cut short is connection_lost, or what is wrong with it", T,
                     PlainServer, TlsServer) {
    T server;
    const std::string whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\n";
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CAPTURE(size);
      for (const End end : {End::fin, End::cut, End::rst}) {
        const Got got = server.get(std::string_view(whole).substr(0, size), end);
        CHECK(got.error == errc::connection_lost);
        CHECK(got.status == 0);
        CHECK(got.url == server.url());
      }
    }
  }

  TEST_CASE_TEMPLATE("fetch: what RFC 9112 bears with is borne with", T, PlainServer, TlsServer) {
    struct Row {
      std::string_view answer;
      int status;
      std::string_view field;  // "A"
      std::string_view body;
    };
    constexpr Row kRows[] = {
        {"HTTP/1.1 200\r\nA: b\r\nContent-Length: 2\r\n\r\nok", 200, "b", "ok"},
        {"HTTP/1.1 200 \r\nA: b\r\nContent-Length: 2\r\n\r\nok", 200, "b", "ok"},
        {"HTTP/1.0 200 OK\r\nA: b\r\n\r\nok", 200, "b", "ok"},
        {"HTTP/1.1 200 O K\t\x80\xff\r\nA: b\r\n\r\nok", 200, "b", "ok"},
        {"HTTP/1.1 299 Odd\r\nA: b\r\nContent-Length: 2\r\n\r\nok", 299, "b", "ok"},
        {"HTTP/1.1 999 Odd\r\nA: b\r\nContent-Length: 2\r\n\r\nok", 999, "b", "ok"},
        {"HTTP/1.1 200 OK\nA: b\nContent-Length: 2\n\nok", 200, "b", "ok"},
        {"HTTP/1.1 200 OK\r\nA:b\r\nContent-Length:2\r\n\r\nok", 200, "b", "ok"},
        {"HTTP/1.1 200 OK\r\nA: \t b \t\r\nContent-Length: \t 2 \t\r\n\r\nok", 200, "b", "ok"},
        {"HTTP/1.1 200 OK\r\nA:\r\nContent-Length: 2\r\n\r\nok", 200, "", "ok"},
        {"HTTP/1.1 200 OK\r\nA: one\r\n  two\r\n\tthree\r\nContent-Length: 2\r\n\r\nok", 200,
         "one two three", "ok"},
        {"HTTP/1.1 200 OK\r\nA: \x80\xff\x01\r\nContent-Length: 2\r\n\r\nok", 200, "\x80\xff\x01",
         "ok"},
        {"HTTP/1.1 200 OK\r\nA: a:b, c\r\nContent-Length: 2\r\n\r\nok", 200, "a:b, c", "ok"},
        {"HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nContent-Length: 2\r\n\r\nok", 200, "1, 2", "ok"},
        {"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, "b",
         "ok"},
        {"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2, 2\r\n\r\nok", 200, "b", "ok"},
        {"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2,2 ,\t2\r\n\r\nok", 200, "b", "ok"},
        {"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 0002\r\n\r\nok", 200, "b", "ok"},
        {"HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200,
         "b", "ok"},
    };
    T server;
    for (const Row& row : kRows) {
      CAPTURE(row.answer);
      const Got got = server.get(row.answer);
      CAPTURE(got.detail);
      CHECK(!got.error);
      CHECK(got.status == row.status);
      CHECK(got.headers.get("a") == row.field);
      CHECK(got.body == row.body);
    }
  }

  TEST_CASE_TEMPLATE("fetch: who sends two framings, or one of another version, is not reused", T,
                     PlainServer, TlsServer) {
    constexpr std::string_view kHeads[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked"sv,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 0"sv,
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked"sv,
    };
    for (const auto head : kHeads) {
      CAPTURE(head);
      T server;
      PendingResponse first = server.start();
      PeerStream peer = server.accept();
      peer.read_until("\r\n\r\n");
      peer.write(std::string(head) + "\r\n\r\n2\r\nok\r\n0\r\n\r\n");
      CHECK(finish(first).body == "ok");
      CHECK(peer.read_all().empty());  // the client closes
      CHECK(server.get("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").body == "ok");
      CHECK(server.client().stats().connections_opened == 2);
    }
  }
}
