#include <doctest/doctest.h>
#include <poll.h>

#include <string>
#include <string_view>

#include "contract/raw_server.hpp"

using namespace weir;
using namespace weir::test;

// Responses without a body that bring one, and other bytes that belong to no response: they must
// never be taken for the next one.

namespace {

constexpr const char* kSmuggled =
    "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nA: smuggled\r\n\r\nsmuggled";

struct Row {
  const char* method;
  std::string_view head;
  std::string_view body = "";  // that the caller gets
};

constexpr Row kRows[] = {
    {"HEAD", "HTTP/1.1 200 OK\r\n\r\n"},
    {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
    {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"},
    {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"HEAD", "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n"},
    {"GET", "HTTP/1.1 204 No Content\r\n\r\n"},
    {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"},
    {"GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"GET", "HTTP/1.1 304 Not Modified\r\n\r\n"},
    {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},
    {"GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"POST", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"},
    // RFC 9112 section 6.3 frames it as any other.
    {"GET", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"},
    {"GET", "HTTP/1.1 205 Reset Content\r\nContent-Length: 4\r\n\r\nbody", "body"},
    {"GET", "HTTP/1.1 205 Reset Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", "body"},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", "body"},
};

/// The connection that the next request comes by: `peer`'s, or a new one.
template <class T>
PeerStream next_request(T& server, PeerStream peer) {
  pollfd either[] = {{peer.fd(), POLLIN, 0}, {server.listening(), POLLIN, 0}};
  REQUIRE(::poll(either, 2, 10'000) > 0);
  if (either[1].revents == 0) {
    try {
      peer.read_until("\r\n\r\n");
      return peer;
    } catch (const std::runtime_error&) {
      REQUIRE(peer.ended());
    }
  }
  PeerStream other = server.accept();
  other.read_until("\r\n\r\n");
  return other;
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("fetch: what follows a response is never the next one", T, PlainServer,
                     TlsServer) {
    for (const Row& row : kRows) {
      CAPTURE(row.method);
      CAPTURE(row.head);
      for (const bool at_once : {true, false}) {
        CAPTURE(at_once);
        T server;
        PendingResponse first = server.start({.method = row.method});
        PeerStream peer = server.accept();
        peer.read_until("\r\n\r\n");
        peer.write(std::string(row.head) + (at_once ? kSmuggled : ""));
        const Got got = finish(first);
        CAPTURE(got.detail);
        CHECK(!got.error);
        CHECK(got.body == row.body);
        if (!at_once) {
          REQUIRE(eventually([&] { return server.client().stats().active == 0; }));
          peer.write(kSmuggled);
        }
        PendingResponse second = server.start();
        PeerStream again = next_request(server, std::move(peer));
        again.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nA: own\r\n\r\nsecond");
        const Got own = finish(second);
        CAPTURE(own.detail);
        CHECK(own.body == "second");
        CHECK(own.headers.get("a") == "own");
      }
    }
  }

  TEST_CASE_TEMPLATE("fetch: interim responses are told of, and no more", T, PlainServer,
                     TlsServer) {
    const std::string final = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: final\r\n\r\nok";
    for (const std::string interim :
         {"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nA: early\r\n\r\n",
          "HTTP/1.1 102 Processing\r\nContent-Length: 5\r\n\r\n",
          "HTTP/1.1 199 Odd\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
      CAPTURE(interim);
      for (const int count : {1, 5}) {
        T server;
        std::string all;
        for (int i = 0; i < count; ++i) all += interim;
        const Got got = server.get(all + final);
        CAPTURE(got.detail);
        CHECK(!got.error);
        CHECK(got.status == 200);
        CHECK(got.headers.get_all("a") == std::vector<std::string>{"final"});
        CHECK(got.body == "ok");
        const Got cut = server.get(all);
        CHECK(cut.error == errc::connection_lost);
        CHECK(cut.status == 0);
      }
    }
  }
}
