#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "contract/raw_server.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::string_view_literals;

// Frames of HTTP/2 that break the rules. Spec: RFC 9113.

namespace {

constexpr std::uint8_t kPriority = 2;
constexpr std::uint8_t kPushPromise = 5;
constexpr std::uint8_t kContinuation = 9;
constexpr std::uint8_t kPadded = 8;

using Fields = H2Peer::Fields;

constexpr milliseconds kSilence{500};  // where libcurl notices nothing

struct Row {
  std::string_view what;
  void (*answer)(H2Peer& peer, std::uint32_t id);
};

std::string fields_of(const Fields& fields) {
  std::string block;
  for (const auto& [name, value] : fields) block += H2Peer::literal(name, value);
  return block;
}

void head_of(H2Peer& peer, std::uint32_t id, const Fields& fields) {
  peer.send(H2Peer::kHeaders, H2Peer::kEndHeaders | H2Peer::kEndStream, id, fields_of(fields));
}

const Row kBadFrames[] = {
    {"DATA on stream 0", [](H2Peer& peer, std::uint32_t) { peer.data(0, "body"); }},
    {"HEADERS on stream 0", [](H2Peer& peer, std::uint32_t) { peer.head(0, 200); }},
    {"DATA before HEADERS", [](H2Peer& peer, std::uint32_t id) { peer.data(id, "body", true); }},
    {"DATA on an idle stream", [](H2Peer& peer, std::uint32_t id) { peer.data(id + 2, "body"); }},
    {"HEADERS on an idle stream", [](H2Peer& peer, std::uint32_t id) { peer.head(id + 2, 200); }},
    {"HEADERS on a stream of the server's", [](H2Peer& peer, std::uint32_t) { peer.head(2, 200); }},
    {"SETTINGS of 5 bytes",
     [](H2Peer& peer, std::uint32_t) { peer.send(H2Peer::kSettings, 0, 0, "12345"); }},
    {"SETTINGS on a stream",
     [](H2Peer& peer, std::uint32_t id) { peer.send(H2Peer::kSettings, 0, id, ""); }},
    {"an acknowledgement with SETTINGS",
     [](H2Peer& peer, std::uint32_t) {
       peer.send(H2Peer::kSettings, H2Peer::kAck, 0, "\0\1\0\0\0\0"sv);
     }},
    {"SETTINGS with a window beyond 2^31",
     [](H2Peer& peer, std::uint32_t) { peer.send(H2Peer::kSettings, 0, 0, "\0\4\x80\0\0\0"sv); }},
    {"PING of 7 bytes",
     [](H2Peer& peer, std::uint32_t) { peer.send(H2Peer::kPing, 0, 0, "1234567"); }},
    {"PING on a stream",
     [](H2Peer& peer, std::uint32_t id) { peer.send(H2Peer::kPing, 0, id, "12345678"); }},
    {"GOAWAY on a stream",
     [](H2Peer& peer, std::uint32_t id) { peer.send(H2Peer::kGoaway, 0, id, "12345678"); }},
    {"GOAWAY of 4 bytes",
     [](H2Peer& peer, std::uint32_t) { peer.send(H2Peer::kGoaway, 0, 0, "1234"); }},
    {"WINDOW_UPDATE of 2 bytes",
     [](H2Peer& peer, std::uint32_t) { peer.send(H2Peer::kWindowUpdate, 0, 0, "ab"); }},
    {"WINDOW_UPDATE by 0",
     [](H2Peer& peer, std::uint32_t) { peer.send(H2Peer::kWindowUpdate, 0, 0, "\0\0\0\0"sv); }},
    {"WINDOW_UPDATE beyond 2^31",
     [](H2Peer& peer, std::uint32_t) {
       peer.send(H2Peer::kWindowUpdate, 0, 0, "\x7f\xff\xff\xff"sv);
     }},
    {"RST_STREAM of 3 bytes",
     [](H2Peer& peer, std::uint32_t id) { peer.send(H2Peer::kRstStream, 0, id, "abc"); }},
    {"RST_STREAM on an idle stream",
     [](H2Peer& peer, std::uint32_t id) { peer.reset(id + 2, H2Error::cancel); }},
    {"PRIORITY of 4 bytes",
     [](H2Peer& peer, std::uint32_t id) { peer.send(kPriority, 0, id, "1234"); }},
    {"CONTINUATION of nothing",
     [](H2Peer& peer, std::uint32_t id) { peer.send(kContinuation, 0, id, "a"); }},
    {"a frame inside a head",
     [](H2Peer& peer, std::uint32_t id) {
       peer.send(H2Peer::kHeaders, 0, id, H2Peer::literal(":status", "200"));
       peer.ping();
     }},
    {"a pushed response",
     [](H2Peer& peer, std::uint32_t id) {
       peer.send(
           kPushPromise, H2Peer::kEndHeaders, id,
           H2Peer::number(2, 4) +
               fields_of(
                   {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}}));
     }},
    {"a head that is no HPACK",
     [](H2Peer& peer, std::uint32_t id) {
       peer.send(H2Peer::kHeaders, H2Peer::kEndHeaders, id, "\xff\xff\xff\xff\xff\xff"sv);
     }},
};

// After a head and some of the body that it announces.
const Row kBadData[] = {
    {"a DATA frame of more than 16 KiB",
     [](H2Peer& peer, std::uint32_t id) {
       peer.send(H2Peer::kData, 0, id, std::string(16'385, 'x'));
     }},
    {"padding longer than its frame",
     [](H2Peer& peer, std::uint32_t id) {
       peer.send(H2Peer::kData, kPadded, id,
                 "\x05"
                 "abc"sv);
     }},
    {"DATA on another stream", [](H2Peer& peer, std::uint32_t id) { peer.data(id + 2, "body"); }},
    {"PING of 7 bytes",
     [](H2Peer& peer, std::uint32_t) { peer.send(H2Peer::kPing, 0, 0, "1234567"); }},
};

const Row kBadHeads[] = {
    {"no :status",
     [](H2Peer& peer, std::uint32_t id) {
       head_of(peer, id, {{"a", "b"}});
     }},
    {"two :status",
     [](H2Peer& peer, std::uint32_t id) {
       head_of(peer, id, {{":status", "200"}, {":status", "200"}});
     }},
    {":status at the end",
     [](H2Peer& peer, std::uint32_t id) {
       head_of(peer, id, {{"a", "b"}, {":status", "200"}});
     }},
    {"a pseudo-field of requests",
     [](H2Peer& peer, std::uint32_t id) {
       head_of(peer, id, {{":status", "200"}, {":path", "/"}});
     }},
    {"a pseudo-field of nobody",
     [](H2Peer& peer, std::uint32_t id) {
       head_of(peer, id, {{":status", "200"}, {":x", "y"}});
     }},
    {":status 20",
     [](H2Peer& peer, std::uint32_t id) {
       head_of(peer, id, {{":status", "20"}});
     }},
    {":status 099",
     [](H2Peer& peer, std::uint32_t id) {
       head_of(peer, id, {{":status", "099"}});
     }},
    {":status 1000",
     [](H2Peer& peer, std::uint32_t id) {
       head_of(peer, id, {{":status", "1000"}});
     }},
    {":status abc",
     [](H2Peer& peer, std::uint32_t id) {
       head_of(peer, id, {{":status", "abc"}});
     }},
    {":status -20",
     [](H2Peer& peer, std::uint32_t id) {
       head_of(peer, id, {{":status", "-20"}});
     }},
    {":status of nothing",
     [](H2Peer& peer, std::uint32_t id) {
       head_of(peer, id, {{":status", ""}});
     }},
    {":status 101", [](H2Peer& peer, std::uint32_t id) { peer.head(id, 101); }},
    {":status 100, and the end",
     [](H2Peer& peer, std::uint32_t id) { peer.head(id, 100, {}, true); }},
    {"upper case",
     [](H2Peer& peer, std::uint32_t id) {
       peer.head(id, 200, {{"Name", "b"}}, true);
     }},
    {"a space in a name",
     [](H2Peer& peer, std::uint32_t id) {
       peer.head(id, 200, {{"a b", "b"}}, true);
     }},
    {"no name",
     [](H2Peer& peer, std::uint32_t id) {
       peer.head(id, 200, {{"", "b"}}, true);
     }},
    {"CR in a value",
     [](H2Peer& peer, std::uint32_t id) {
       peer.head(id, 200, {{"a", "b\rc"}}, true);
     }},
    {"LF in a value",
     [](H2Peer& peer, std::uint32_t id) {
       peer.head(id, 200, {{"a", "b\nc: d"}}, true);
     }},
    {"NUL in a value",
     [](H2Peer& peer, std::uint32_t id) {
       peer.head(id, 200, {{"a", std::string(1, '\0')}}, true);
     }},
    {"connection",
     [](H2Peer& peer, std::uint32_t id) {
       peer.head(id, 200, {{"connection", "close"}}, true);
     }},
    {"keep-alive",
     [](H2Peer& peer, std::uint32_t id) {
       peer.head(id, 200, {{"keep-alive", "5"}}, true);
     }},
    {"proxy-connection",
     [](H2Peer& peer, std::uint32_t id) {
       peer.head(id, 200, {{"proxy-connection", "a"}}, true);
     }},
    {"transfer-encoding",
     [](H2Peer& peer, std::uint32_t id) {
       peer.head(id, 200, {{"transfer-encoding", "chunked"}}, true);
     }},
    {"upgrade",
     [](H2Peer& peer, std::uint32_t id) {
       peer.head(id, 200, {{"upgrade", "h2c"}}, true);
     }},
    {"a length that is none",
     [](H2Peer& peer, std::uint32_t id) {
       peer.head(id, 200, {{"content-length", "two"}}, true);
     }},
    {"two lengths",
     [](H2Peer& peer, std::uint32_t id) {
       peer.head(id, 200, {{"content-length", "0"}, {"content-length", "1"}}, true);
     }},
    {"a length, and the end",
     [](H2Peer& peer, std::uint32_t id) {
       peer.head(id, 200, {{"content-length", "2"}}, true);
     }},
};

// After a head without a length, and "body".
const Row kBadEnds[] = {
    {"trailers with :status",
     [](H2Peer& peer, std::uint32_t id) {
       peer.trailers(id, {{":status", "200"}});
     }},
    {"trailers in upper case",
     [](H2Peer& peer, std::uint32_t id) {
       peer.trailers(id, {{"Name", "b"}});
     }},
    {"trailers of the connection",
     [](H2Peer& peer, std::uint32_t id) {
       peer.trailers(id, {{"connection", "close"}});
     }},
    {"trailers that do not end the stream",
     [](H2Peer& peer, std::uint32_t id) { peer.head(id, 200); }},
};

template <class T>
Got answered(void (*answer)(H2Peer&, std::uint32_t)) {
  T server;
  PendingResponse pending = server.start({.headers_timeout = kSilence});
  H2Peer peer = server.accept();
  answer(peer, peer.request());
  Got got = finish(pending);
  CHECK(got.url == server.url());
  CHECK(!got.detail.empty());
  return got;
}

/// The same once "body" has been read.
template <class T>
Got answered_late(void (*answer)(H2Peer&, std::uint32_t), const Fields& fields) {
  T server;
  PendingResponse pending = server.start({.idle_timeout = kSilence});
  H2Peer peer = server.accept();
  const std::uint32_t id = peer.request();
  peer.head(id, 200, fields);
  peer.data(id, "body");
  Response response = pending.get();
  REQUIRE(eventually([&] { return response.body.stats().received == 4; }));
  answer(peer, id);
  Got got;
  read_to_end(response, got);
  CHECK(got.body == "body");
  CHECK(got.status == 200);
  return got;
}

}  // namespace

TEST_SUITE("contract") {
  // The words of libcurl before 8.1 are those of a connection that ended, or none at all.
  TEST_CASE_TEMPLATE("fetch: a frame that HTTP/2 does not allow fails it", T, H2PlainServer,
                     H2TlsServer) {
    for (const Row& row : kBadFrames) {
      CAPTURE(row.what);
      const Got got = answered<T>(row.answer);
      CAPTURE(got.detail);
      const bool typed = got.error == errc::protocol_error || got.error == errc::connection_lost ||
                         got.error == errc::timed_out;
      CHECK(typed);
      CHECK(got.body.empty());
    }
  }

  TEST_CASE_TEMPLATE("Body: a frame that HTTP/2 does not allow never makes it whole", T,
                     H2PlainServer, H2TlsServer) {
    for (const Row& row : kBadData) {
      CAPTURE(row.what);
      const Got got = answered_late<T>(row.answer, {{"content-length", "100000"}});
      CAPTURE(got.detail);
      const bool typed = got.error == errc::protocol_error || got.error == errc::truncated ||
                         got.error == errc::timed_out;
      CHECK(typed);
    }
  }

  TEST_CASE_TEMPLATE("fetch: a head that HTTP/2 does not allow is a protocol_error", T,
                     H2PlainServer, H2TlsServer) {
    for (const Row& row : kBadHeads) {
      CAPTURE(row.what);
      const Got got = answered<T>(row.answer);
      CAPTURE(got.detail);
      CHECK(got.error == errc::protocol_error);
      CHECK(got.body.empty());
      CHECK(!got.retryable);
    }
  }

  TEST_CASE_TEMPLATE("Body: trailers that HTTP/2 does not allow are a protocol_error", T,
                     H2PlainServer, H2TlsServer) {
    for (const Row& row : kBadEnds) {
      CAPTURE(row.what);
      const Got got = answered_late<T>(row.answer, {});
      CAPTURE(got.detail);
      CHECK(got.error == errc::protocol_error);
    }
  }
}
