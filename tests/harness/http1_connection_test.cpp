#include "harness/http1_connection.hpp"

#include <doctest/doctest.h>

#include "raw_client.hpp"

using namespace weir::harness;
using namespace weir::harness::test;

namespace {

std::string pattern_text(std::uint64_t seed, std::uint64_t offset, std::size_t size) {
  std::string out(size, '\0');
  pattern::fill(seed, offset, std::as_writable_bytes(std::span(out)));
  return out;
}

BodyState state_of(const FirehoseStats& stats, std::string_view path) {
  const BodyRecord* body = stats.find(path);
  return body == nullptr ? BodyState::live : body->state;
}

// The state in which the body of that path ended; live if it did not.
BodyState end_of(const Firehose& server, std::string_view path) {
  server.wait_for([&](const FirehoseStats& s) { return state_of(s, path) != BodyState::live; });
  return state_of(server.stats(), path);
}

}  // namespace

TEST_SUITE("harness") {
  TEST_CASE("HTTP/1.1: a body arrives as the pattern, however it is framed") {
    const Firehose server;
    for (const char* query :
         {"", "?chunked=1", "?no_length=1", "?chunked=1&write=1000", "?write=999",
          "?rate=100000000", "?stall_after=1000&stall_ms=1&chunked=1",
          "?chunked=1&rate=50000000&write=700"}) {
      for (const unsigned size : {0U, 1U, 65536U, 300001U}) {
        CAPTURE(query);
        CAPTURE(size);
        RawClient client(server.port());
        const RawResponse got = client.fetch("/bytes/" + std::to_string(size) + query);
        CHECK(got.status() == 200);
        REQUIRE(got.whole);
        REQUIRE(got.body.size() == size);
        CHECK_FALSE(pattern::check(0, 0, std::as_bytes(std::span(got.body))));
      }
    }
  }

  TEST_CASE("HTTP/1.1: chunks have the size that was asked for") {
    const Firehose server;
    RawClient client(server.port());
    CHECK(client.fetch("/bytes/10?chunked=1&write=4").body == pattern_text(0, 0, 10));
    CHECK(client.chunk_sizes() == "4 4 2 0 ");
    CHECK(client.fetch("/bytes/70000?chunked=1").whole);
    CHECK(client.chunk_sizes() == "10000 1170 0 ");
    CHECK(client.fetch("/bytes/500000?chunked=1&write=400000").whole);
    CHECK(client.chunk_sizes() == "61a80 186a0 0 ");
  }

  TEST_CASE("HTTP/1.1: one connection serves a hundred requests") {
    const Firehose server;
    RawClient client(server.port());
    for (std::size_t i = 0; i < 100; ++i) {
      const RawResponse got =
          client.fetch("/bytes/" + std::to_string(i) + "?seed=" + std::to_string(i) +
                       (i % 2 == 0 ? "&chunked=1" : ""));
      REQUIRE(got.whole);
      REQUIRE(got.body == pattern_text(i, 0, i));
    }
    const FirehoseStats stats = server.stats();
    CHECK(stats.requests == 100);
    CHECK(stats.connections_opened == 1);
    CHECK(stats.bytes_accepted == 99 * 100 / 2);
  }

  TEST_CASE("HTTP/1.1: pipelined requests are answered in order, in whatever pieces they come") {
    const Firehose server;
    const std::string requests = get("/status/201") +
                                 "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" +
                                 "\r\n" + get("/status/202") +
                                 "POST /status/203 HTTP/1.1\r\nHost: h\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n2\r\nxx\r\n0\r\n\r\n" +
                                 get("/status/205");
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, requests.size()}) {
      CAPTURE(piece);
      RawClient client(server.port());
      for (std::size_t i = 0; i < requests.size(); i += piece) {
        REQUIRE(client.send(requests.substr(i, piece)));
      }
      CHECK(client.response().status() == 201);
      CHECK(client.response().body == "abc");
      CHECK(client.response().status() == 202);
      CHECK(client.response().status() == 203);
      CHECK(client.response().status() == 205);
    }
  }

  TEST_CASE("HTTP/1.1: HEAD has the head of GET and no body") {
    const Firehose server;
    RawClient client(server.port());
    for (const char* target : {"/bytes/1000", "/bytes/1000?chunked=1", "/nope"}) {
      CAPTURE(target);
      const RawResponse whole = client.fetch(target);
      client.send("HEAD " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n\r\n");
      CHECK(client.response(true).head == whole.head);
    }
    CHECK(client.fetch("/status/204").body.empty());
    CHECK(client.fetch("/status/304").body.empty());
    CHECK(client.fetch("/status/200").body == "200\n");
  }

  TEST_CASE("HTTP/1.1: errors are answered, and broken requests end the connection") {
    const Firehose server;
    RawClient good(server.port());
    CHECK(good.fetch("/nope").status() == 404);
    const RawResponse refused = good.fetch("/bytes/10?rate=fast");
    CHECK(refused.status() == 400);
    CHECK(refused.body == "'rate' must be a number from 1 to 9223372036854775808, not 'fast'\n");
    CHECK(good.fetch("/bytes/1").status() == 200);  // still the same connection

    struct Row {
      std::string request;
      int status;
    };
    for (const Row& row :
         {Row{"\x16\x03\x01 a TLS hello", 400}, Row{"GET / HTTP/1.1\n\n", 400},
          Row{"GET /\r\n\r\n", 400}, Row{"GET / HTTP/1.1\r\nbad field\r\n\r\n", 400},
          Row{"POST /bytes/1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz", 400},
          Row{get("/bytes/1", "X: " + std::string(100'000, 'x') + "\r\n"), 431},
          Row{"GET /" + std::string(70'000, 'x'), 431}}) {
      CAPTURE(row.request.substr(0, 40));
      RawClient client(server.port());
      client.send(row.request);
      const RawResponse got = client.response();
      CHECK(got.status() == row.status);
      CHECK(got.has("Connection: close"));
      CHECK(client.rest().empty());
      CHECK(client.error() == 0);  // FIN, not RST: the answer was not lost
    }
  }

  TEST_CASE("HTTP/1.1: 100-continue comes when it is asked for") {
    const Firehose server;
    RawClient client(server.port());
    for (const char* route : {"/echo", "/status/200"}) {
      client.send("PUT " + std::string(route) +
                  " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
      CHECK(client.head() == "HTTP/1.1 100 Continue\r\n\r\n");
      client.send("200\n");
      CHECK(client.response().body == "200\n");
    }
    client.send(get("/status/200", "Expect: 100-continue\r\n"));
    CHECK(client.head().substr(0, 12) == "HTTP/1.1 200");  // no body to continue with
  }

  TEST_CASE("HTTP/1.1: Connection: close and HTTP/1.0 end with the response") {
    const Firehose server;
    RawClient closes(server.port());
    closes.send(get("/bytes/5", "Connection: close\r\n"));
    CHECK(closes.response().has("Connection: close"));
    CHECK(closes.rest().empty());
    RawClient old(server.port());
    old.send("GET /bytes/5?chunked=1 HTTP/1.0\r\n\r\n");
    const RawResponse got = old.response();
    CHECK_FALSE(got.has("chunked"));
    CHECK(got.body == pattern_text(0, 0, 5));
  }

  TEST_CASE("HTTP/1.1: an echo is the request's body, framed the same, in bounded memory") {
    const Firehose server;
    RawClient client(server.port());
    const std::string body = pattern_text(9, 0, 20'000);
    const std::string fields = "Host: h\r\nContent-Type: a/b\r\n";
    client.send("POST /echo HTTP/1.1\r\n" + fields + "Content-Length: 20000\r\n\r\n" + body);
    const RawResponse measured = client.response();
    CHECK(measured.has("Content-Type: a/b"));
    CHECK(measured.has("Content-Length: 20000"));
    CHECK(measured.body == body);

    client.send("POST /echo?rate=1000000 HTTP/1.1\r\n" + fields +
                "Transfer-Encoding: chunked\r\n\r\n4e20\r\n" + body + "\r\n0\r\n\r\n");
    const RawResponse chunked = client.response();
    CHECK(chunked.has("Transfer-Encoding: chunked"));
    CHECK(chunked.body == body);
    CHECK(client.fetch("/echo").body.empty());
    CHECK(client.fetch("/status/204").status() == 204);
  }

  TEST_CASE("HTTP/1.1: an echo that is not read stops reading") {
    FirehoseOptions options;
    options.send_buffer = 16 * 1024;
    const Firehose server(options);
    RawClient client(server.port(), 16 * 1024);
    REQUIRE(client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741824\r\n\r\n"));
    std::uint64_t taken = 0;
    const std::string piece(16 * 1024, 'x');
    do {  // until our own kernel takes no more, which is for good once the server stopped
      const ssize_t size =
          ::send(client.fd(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (size > 0) taken += static_cast<std::uint64_t>(size);
      if (size < 0) REQUIRE(server.wait_until_blocked({1, 1, std::chrono::milliseconds(50)}));
      pollfd writable{client.fd(), POLLOUT, 0};
      if (size < 0 && poll(&writable, 1, 200) == 0) break;
    } while (taken < 1'000'000'000);
    CHECK(taken < 100'000'000);
    CHECK(server.stats().find("/echo")->bytes_accepted < taken);
  }

  TEST_CASE("HTTP/1.1: interim responses, many headers and the head that came in") {
    const Firehose server;
    RawClient client(server.port());
    client.send(get("/interim/2"));
    CHECK(client.head() == "HTTP/1.1 103 Early Hints\r\nLink: </0>\r\n\r\n");
    CHECK(client.head() == "HTTP/1.1 103 Early Hints\r\nLink: </1>\r\n\r\n");
    CHECK(client.response().body == "ok\n");
    const RawResponse many = client.fetch("/headers?count=5000&size=50");
    CHECK(many.head.size() > 5000 * 50);
    CHECK(many.has("\r\nX-Weir-4999: x"));
    CHECK(many.body == "ok\n");
    const std::string request = get("/headers_echo", "X-Odd:   value \r\n");
    client.send(request);
    CHECK(client.response().body == request);
    CHECK(client.fetch("/redirect/2?body=5").has("Location: /redirect/1?body=5\r\n"));
  }

  TEST_CASE("HTTP/1.1: dripping headers never end") {
    const Firehose server;
    RawClient client(server.port());
    client.send(get("/drip_headers?ms=1"));
    std::string got;
    while (got.find("X-Drip-20: ") == got.npos) {
      const std::string piece = client.receive();
      REQUIRE_FALSE(piece.empty());
      got += piece;
    }
    CHECK(got.find("\r\n\r\n") == got.npos);
    client.close();
    CHECK(server.wait_for([](const FirehoseStats& s) { return s.vanished == 1; }));
  }

  TEST_CASE("HTTP/1.1: a cut body ends by FIN after exactly so many bytes") {
    const Firehose server;
    for (const char* query : {"", "&chunked=1", "&chunked=1&write=7", "&no_length=1"}) {
      for (const unsigned after : {0U, 1U, 70000U}) {
        const std::string target =
            "/bytes/100000?cut_after=" + std::to_string(after) + std::string(query);
        CAPTURE(target);
        RawClient client(server.port());
        const RawResponse got = client.fetch(target);
        CHECK(got.status() == 200);
        CHECK(client.error() == 0);
        CHECK(got.whole == (std::string_view(query) == "&no_length=1"));
        const std::string body = got.body.substr(0, after);
        CHECK(body == pattern_text(0, 0, after));
        CHECK(end_of(server, target) == BodyState::cut);
        CHECK(server.stats().find(target)->bytes_accepted == after);
      }
    }
  }

  TEST_CASE("HTTP/1.1: a reset body ends by RST, with all bytes before it delivered") {
    const Firehose server;
    for (const unsigned after : {0U, 1U, 20000U}) {
      const std::string target = "/bytes/100000?rst_after=" + std::to_string(after);
      CAPTURE(target);
      RawClient client(server.port());
      const RawResponse got = client.fetch(target);
      CHECK(got.body == pattern_text(0, 0, after));
      CHECK_FALSE(got.whole);
      CHECK(client.error() == ECONNRESET);
      CHECK(end_of(server, target) == BodyState::cut);
    }
  }

  TEST_CASE("HTTP/1.1: a stalled body stands still, and its client's leaving is noticed") {
    const Firehose server;
    const std::string target = "/bytes/100000?stall_after=4000";
    RawClient client(server.port());
    client.send(get(target));
    CHECK(client.head().size() > 10);
    CHECK(client.bytes(4000) == pattern_text(0, 0, 4000));
    RawClient other(server.port());
    CHECK(other.fetch("/bytes/1000000").whole);  // the server is free for others
    CHECK(server.stats().find(target)->bytes_accepted == 4000);
    CHECK(state_of(server.stats(), target) == BodyState::live);
    CHECK_FALSE(server.wait_until_blocked({0, 1, std::chrono::milliseconds(0)},
                                          std::chrono::milliseconds(0)));
    client.close();
    CHECK(end_of(server, target) == BodyState::vanished);
    CHECK(server.wait_for([](const FirehoseStats& s) { return s.connections_open == 1; }));
  }

  TEST_CASE("HTTP/1.1: connections end without a response where the URL says so") {
    const Firehose server;
    struct Row {
      const char* target;
      const char* received;
      int error;
    };
    for (const Row& row :
         {Row{"/close", "", 0}, Row{"/close?how=rst", "", ECONNRESET},
          Row{"/close?before=blank_line", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n", 0},
          Row{"/close?before=blank_line&how=rst", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n",
              ECONNRESET},
          Row{"/raw?text=HTTP/1.1%20299%0d%0a%0d%0ax", "HTTP/1.1 299\r\n\r\nx", 0}}) {
      CAPTURE(row.target);
      RawClient client(server.port());
      client.send(get(row.target));
      CHECK(client.rest() == row.received);
      CHECK(client.error() == row.error);
    }
    RawClient reused(server.port());
    CHECK(reused.fetch("/close?reused=1").body == "first request\n");
    CHECK(reused.fetch("/close?reused=1").head.empty());
  }

  TEST_CASE("HTTP/1.1: a request that hangs is never answered, and ends with its client") {
    const Firehose server;
    RawClient hangs(server.port());
    RawClient resets(server.port());
    hangs.send(get("/hang"));
    resets.send(get("/hang"));
    CHECK(server.wait_for([](const FirehoseStats& s) { return s.requests == 2; }));
    RawClient other(server.port());
    CHECK(other.fetch("/bytes/10").whole);
    pollfd nothing{hangs.fd(), POLLIN, 0};
    CHECK(poll(&nothing, 1, 0) == 0);
    hangs.close();
    resets.reset();
    CHECK(server.wait_for([](const FirehoseStats& s) { return s.vanished == 2; }));
    CHECK(server.wait_for([](const FirehoseStats& s) { return s.connections_open == 1; }));
  }
}
