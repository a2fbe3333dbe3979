#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "contract/raw_server.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::string_view_literals;

// Streams and connections of HTTP/2 that break off, by the rules. Spec: RFC 9113 sections 6.4, 6.8
// and 8.7.

namespace {

using Fields = H2Peer::Fields;

constexpr milliseconds kSilence{2'000};  // where libcurl notices nothing: a failure here

RequestInit impatient() { return {.headers_timeout = kSilence, .idle_timeout = kSilence}; }

struct Ending {
  std::string_view what;
  void (*end)(H2Peer& peer, std::uint32_t id);
  errc in_head;
  errc in_body;
};

template <std::uint32_t kCode>
void reset(H2Peer& peer, std::uint32_t id) {
  peer.reset(id, static_cast<H2Error>(kCode));
}

constexpr auto kLost = errc::connection_lost;
constexpr auto kCut = errc::truncated;
constexpr auto kFault = errc::protocol_error;

const Ending kEndings[] = {
    {"NO_ERROR", &reset<0>, kLost, kCut},
    {"PROTOCOL_ERROR", &reset<1>, kFault, kFault},
    {"INTERNAL_ERROR", &reset<2>, kLost, kCut},
    {"FLOW_CONTROL_ERROR", &reset<3>, kFault, kFault},
    {"STREAM_CLOSED", &reset<5>, kFault, kFault},
    {"CANCEL", &reset<8>, kLost, kCut},
    {"COMPRESSION_ERROR", &reset<9>, kFault, kFault},
    {"CONNECT_ERROR", &reset<10>, kLost, kCut},
    {"ENHANCE_YOUR_CALM", &reset<11>, kLost, kCut},
    {"FIN", [](H2Peer& peer, std::uint32_t) { peer.close(End::fin); }, kLost, kCut},
    {"FIN without close_notify", [](H2Peer& peer, std::uint32_t) { peer.close(End::cut); }, kLost,
     kCut},
    {"RST", [](H2Peer& peer, std::uint32_t) { peer.close(End::rst); }, kLost, kCut},
    {"GOAWAY and FIN",
     [](H2Peer& peer, std::uint32_t id) {
       peer.goaway(id, H2Error::internal);
       peer.close();
     },
     kLost, kCut},
};

void check_told(const Got& got, std::optional<errc> expected, const std::string& url) {
  CAPTURE(got.detail);
  CHECK(got.error == expected);
  CHECK(got.url == url);
  CHECK(!got.detail.empty());
}

ClientOptions small_marks() {
  ClientOptions options;
  options.high_water = options.unread_high_water = 65'536;
  options.low_water = 16'384;
  return options;
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("fetch: a stream that breaks off before its head is typed", T, H2PlainServer,
                     H2TlsServer) {
    for (const Ending& row : kEndings) {
      CAPTURE(row.what);
      T server;
      PendingResponse pending = server.start(impatient());
      H2Peer peer = server.accept();
      row.end(peer, peer.request());
      const Got got = finish(pending);
      check_told(got, row.in_head, server.url());
      CHECK(got.status == 0);
      CHECK(got.retryable == (row.in_head == errc::connection_lost));
    }
  }

  TEST_CASE_TEMPLATE("Body: a stream that breaks off brings its bytes first, and is typed", T,
                     H2PlainServer, H2TlsServer) {
    for (const Ending& row : kEndings) {
      for (const bool measured : {false, true}) {
        // libcurl 7.88 shows no difference to the end of a body whose length nobody knows.
        if (row.what == "NO_ERROR" && !measured) continue;
        CAPTURE(row.what);
        CAPTURE(measured);
        T server;
        PendingResponse pending = server.start(impatient());
        H2Peer peer = server.accept();
        const std::uint32_t id = peer.request();
        peer.head(id, 200, measured ? Fields{{"content-length", "100000"}} : Fields{});
        peer.data(id, "body");
        Response response = pending.get();
        REQUIRE(eventually([&] { return response.body.stats().received == 4; }));
        row.end(peer, id);
        Got got;
        read_to_end(response, got);
        check_told(got, row.in_body, server.url());
        CHECK(got.body == "body");
        CHECK(got.status == 200);
        CHECK(!got.retryable);
      }
    }
  }

  TEST_CASE_TEMPLATE("Body: a stream that breaks off while paused brings its bytes first", T,
                     H2PlainServer, H2TlsServer) {
    const std::string bytes(100'000, 'x');
    for (const Ending& row : kEndings) {
      CAPTURE(row.what);
      T server(small_marks());
      PendingResponse pending = server.start(impatient());
      H2Peer peer = server.accept();
      const std::uint32_t id = peer.request();
      peer.head(id, 200, {{"content-length", "1000000"}});
      peer.data(id, bytes);
      Response response = pending.get();
      REQUIRE(eventually([&] { return server.client().stats().paused == 1; }));
      row.end(peer, id);
      Got got;
      read_to_end(response, got);
      check_told(got, row.in_body, server.url());
      CHECK(got.body.size() >= 65'536);
      CHECK(got.body == bytes.substr(0, got.body.size()));
      CHECK(balanced(server.client().stats()));
    }
  }

  TEST_CASE_TEMPLATE("fetch: what was refused unseen is sent again, once, if it may be", T,
                     H2PlainServer, H2TlsServer) {
    const auto refuse = [](H2Peer& peer, bool goaway) {
      const std::uint32_t id = peer.request();
      if (goaway) {
        peer.goaway(0);
      } else {
        peer.reset(id, H2Error::refused_stream);
      }
    };
    for (const bool goaway : {false, true}) {
      CAPTURE(goaway);
      T server;
      // A server that says GOAWAY on a connection's first request would say so again.
      if (!goaway) {
        PendingResponse pending = server.start(impatient());
        H2Peer first = server.accept();
        refuse(first, goaway);
        H2Peer second = server.accept();
        second.head(second.request(), 204, {}, true);
        CHECK(finish(pending).status == 204);
      }
      // Over TLS libcurl would connect anew before it asks whether it may.
      if (!goaway && std::is_same_v<T, H2TlsServer>) continue;
      PendingResponse post = server.start({.method = "POST",
                                           .body = "order",
                                           .headers_timeout = kSilence,
                                           .idle_timeout = kSilence});
      H2Peer peer = server.accept();
      refuse(peer, goaway);
      const Got got = finish(post);
      check_told(got, errc::connection_lost, server.url());
      CHECK(got.retryable);
    }
  }

  TEST_CASE_TEMPLATE("Body: GOAWAY leaves it alone, unless it is left out", T, H2PlainServer,
                     H2TlsServer) {
    for (const bool left_out : {false, true}) {
      CAPTURE(left_out);
      T server;
      PendingResponse pending = server.start(impatient());
      H2Peer peer = server.accept();
      const std::uint32_t id = peer.request();
      peer.head(id, 200);
      peer.data(id, "body");
      Response response = pending.get();
      REQUIRE(eventually([&] { return response.body.stats().received == 4; }));
      peer.goaway(left_out ? 0 : id);
      if (!left_out) peer.data(id, " and all", true);
      Got got;
      read_to_end(response, got);
      CAPTURE(got.detail);
      CHECK(got.body == (left_out ? "body" : "body and all"));
      CHECK(got.error == (left_out ? std::optional(errc::truncated) : std::nullopt));
    }
  }

  TEST_CASE_TEMPLATE("Body: SETTINGS in its middle change nothing", T, H2PlainServer, H2TlsServer) {
    T server;
    PendingResponse pending = server.start(impatient());
    H2Peer peer = server.accept();
    const std::uint32_t id = peer.request();
    peer.head(id, 200);
    for (const auto settings : {"\0\4\0\0\0\0"sv, "\0\4\0\1\0\0"sv, "\0\1\0\0\0\0"sv,
                                "\0\5\0\0\x40\0"sv, "\0\3\0\0\0\0"sv, "\xff\xff\0\0\0\1"sv}) {
      peer.data(id, "part ");
      peer.send(H2Peer::kSettings, 0, 0, settings);
      peer.send(0xfa, 0xff, id, "a frame of a type that nobody knows");
    }
    peer.data(id, "end", true);
    CHECK(finish(pending).body == "part part part part part part end");
  }

  TEST_CASE_TEMPLATE("fetch: a flood of frames ends in bounded memory", T, H2PlainServer,
                     H2TlsServer) {
    struct Flood {
      std::string_view what;
      bool (*more)(H2Peer& peer, std::uint32_t id, bool first);
    };
    const Flood rows[] = {
        {"PING", [](H2Peer& peer, std::uint32_t, bool) { return peer.ping(); }},
        {"CONTINUATION",
         [](H2Peer& peer, std::uint32_t id, bool first) {
           const std::string field = H2Peer::literal("a", "b");
           return first ? peer.send(H2Peer::kHeaders, 0, id, H2Peer::literal(":status", "200"))
                        : peer.send(9, 0, id, field);
         }},
        {"empty CONTINUATION",
         [](H2Peer& peer, std::uint32_t id, bool first) {
           return first ? peer.send(H2Peer::kHeaders, 0, id, H2Peer::literal(":status", "200"))
                        : peer.send(9, 0, id, "");
         }},
    };
    for (const Flood& row : rows) {
      CAPTURE(row.what);
      T server;
      PendingResponse pending = server.start({.headers_timeout = milliseconds(2000)});
      {
        H2Peer peer = server.accept();
        const std::uint32_t id = peer.request();
        bool open = row.more(peer, id, true);
        for (int count = 0; count < 50'000 && open; ++count) open = row.more(peer, id, false);
      }
      const Got got = finish(pending);
      CAPTURE(got.detail);
      const bool typed = got.error == errc::too_large || got.error == errc::protocol_error ||
                         got.error == errc::connection_lost;
      CHECK(typed);
      if (row.what != "PING") CHECK(got.error == errc::too_large);
      CHECK(got.status == 0);
    }
  }
}
