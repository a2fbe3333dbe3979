#include <curl/curl.h>
#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "driver_fixture.hpp"
#include "net/curl_quirks.hpp"
#include "support/h2_peer.hpp"
#include "weir/harness/firehose.hpp"

using namespace std::chrono_literals;
using namespace weir;
using namespace weir::test;
using harness::Firehose;
using Fields = H2Peer::Fields;

namespace {

const flow::Wait kForEver = flow::Wait::for_ever();

net::Request over_h2(net::Request what) {
  what.version = HttpVersion::http2;
  return what;
}
net::Request with_knowledge(net::Request what) {
  what.version = HttpVersion::http2_prior_knowledge;
  return what;
}

ClientOptions trusting(const std::string& ca_pem) {
  ClientOptions options;
  options.tls.ca_pem = ca_pem;
  return options;
}

/// A driver and one request of its, which a peer has received.
struct Answered {
  explicit Answered(net::Request what = get("")) {
    what.url = listener.url();
    exchange = driver.start(with_knowledge(std::move(what)));
    peer = std::make_unique<H2Peer>(listener.accept());
    stream = peer->request();
  }
  Outcome finish() const { return DriverFixture::finish(*exchange); }
  /// Waits until the client has got so many bytes of body.
  void wait_for(std::uint64_t bytes) const {
    REQUIRE(driver.wait_for([&](const auto& now) { return now.bytes_received >= bytes; }));
  }

  H2Listener listener{false};
  DriverFixture driver;
  std::shared_ptr<net::Exchange> exchange;
  std::unique_ptr<H2Peer> peer;
  std::uint32_t stream = 0;
};

/// The same over TLS, where connections are reused.
struct Reusing {
  std::shared_ptr<net::Exchange> start(net::Request what = get("")) {
    what.url = listener.url();
    return driver.start(over_h2(std::move(what)));
  }
  /// One request that goes well, over a new connection.
  H2Peer prime() {
    const auto exchange = start();
    H2Peer peer = listener.accept();
    peer.head(peer.request(), 204, {}, true);
    REQUIRE(DriverFixture::finish(*exchange).status == 204);
    REQUIRE(driver.wait_until_idle());
    return peer;
  }
  /// Answers what comes over a new connection; its outcome.
  Outcome finish_over_new_connection(net::Exchange& exchange) {
    H2Peer peer = listener.accept();
    peer.head(peer.request(), 204, {}, true);
    return DriverFixture::finish(exchange);
  }

  H2Listener listener{true};
  DriverFixture driver{trusting(listener.ca_pem())};
};

const std::string kPart(60'000, 'x');

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("CurlDriver: over HTTP/2 a head, a body and trailers arrive whole") {
  const Answered that;
  that.peer->head(that.stream, 103, {{"link", "</a>"}});
  that.peer->head(that.stream, 200, {{"x-a", "1"}, {"set-cookie", "a"}, {"set-cookie", "b"}});
  that.peer->data(that.stream, "hello ");
  that.peer->data(that.stream, "world");
  that.peer->trailers(that.stream, {{"x-digest", "abc"}});
  const Outcome got = that.finish();
  CHECK_FALSE(got.error);
  CHECK(got.status == 200);
  CHECK(got.body == "hello world");
  const net::Head& head = that.exchange->head;
  CHECK(head.version == HttpVersion::http2);
  CHECK(head.headers.get_all("Set-Cookie") == std::vector<std::string>{"a", "b"});
  CHECK_FALSE(head.headers.has("link"));
  CHECK(that.exchange->trailers.get("X-Digest") == "abc");
}

TEST_CASE("CurlDriver: an HTTP/2 response without a body has none, whatever it claims") {
  struct Row {
    const char* method;
    int status;
    Fields fields;
  };
  const Row rows[] = {{"GET", 200, {}},
                      {"GET", 200, {{"content-length", "0"}}},
                      {"GET", 204, {}},
                      {"GET", 304, {{"content-length", "50000"}}},
                      {"HEAD", 200, {{"content-length", "50000"}}}};
  for (const Row& row : rows) {
    CAPTURE(row.method);
    CAPTURE(row.status);
    const Answered that(request(row.method, ""));
    that.peer->head(that.stream, row.status, row.fields, true);
    const Outcome got = that.finish();
    CHECK_FALSE(got.error);
    CHECK(got.status == row.status);
    CHECK(got.body.empty());
  }
}

TEST_CASE("CurlDriver: an HTTP/2 response that ends before its request has ended") {
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    const int status = round % 2 == 0 ? 403 : 200;
    Reusing that;
    const auto exchange = that.start(post("", "x"));
    H2Peer peer = that.listener.accept();
    peer.head(peer.request(), status, {}, true);
    const Outcome got = DriverFixture::finish(*exchange);
    CHECK_FALSE(got.error);
    CHECK(got.status == status);
  }
}

TEST_CASE("CurlDriver: requests in a row use one HTTP/2 connection, whatever came in between") {
  Reusing that;
  H2Peer peer = that.prime();
  for (int round = 0; round < 50; ++round) {
    CAPTURE(round);
    if (round % 3 == 1) peer.ping();
    if (round % 3 == 2) peer.send(H2Peer::kSettings, 0, 0, {});
    const auto exchange = that.start();
    const auto stream = peer.request();
    peer.head(stream, 200);
    peer.data(stream, "hello", true);
    CHECK(DriverFixture::finish(*exchange).body == "hello");
    REQUIRE(that.driver.wait_until_idle());
  }
  CHECK(that.driver.stats().connections_opened == 1);
}

TEST_CASE("CurlDriver: an idle HTTP/2 connection that ended, or is about to, is not used again") {
  for (const bool goaway : {false, true}) {
    CAPTURE(goaway);
    Reusing that;
    H2Peer peer = that.prime();
    if (goaway) peer.goaway(1);
    if (!goaway) peer.close();
    for (const char* method : {"GET", "POST"}) {
      CAPTURE(method);
      CHECK(that.finish_over_new_connection(*that.start(request(method, ""))).status == 204);
      REQUIRE(that.driver.wait_until_idle());
    }
  }
}

TEST_CASE("CurlDriver: what an HTTP/2 server refused, or said GOAWAY to, is sent again if it may") {
  const Firehose server({.tls = true, .http2 = true});
  for (const char* how : {"reset=7", "goaway=refuse"}) {
    CAPTURE(how);
    const std::string url = server.url(std::string("/bytes/10?reused=1&") + how);
    for (const bool again : {false, true}) {
      CAPTURE(again);
      DriverFixture driver(trusting(server.ca_pem()));
      REQUIRE(driver.run(over_h2(get(server.url("/status/200")))).status == 200);
      REQUIRE(driver.wait_until_idle());
      const std::uint64_t before = server.stats().requests;
      const Outcome got = driver.run(over_h2(again ? get(url) : post(url, "x")));
      CHECK(got.error == (again ? std::nullopt : std::optional(errc::connection_lost)));
      CHECK(got.retryable == !again);
      CHECK(server.stats().requests == before + (again ? 2 : 1));
    }
  }
}

TEST_CASE("CurlDriver: what an HTTP/2 server refuses twice is not sent a third time") {
  const Firehose server({.tls = true, .http2 = true});
  for (const bool reused : {false, true}) {
    CAPTURE(reused);
    DriverFixture driver(trusting(server.ca_pem()));
    if (reused) REQUIRE(driver.run(over_h2(get(server.url("/status/200")))).status == 200);
    REQUIRE(driver.wait_until_idle());
    const std::uint64_t before = server.stats().requests;
    const Outcome got = driver.run(over_h2(get(server.url("/bytes/10?reset=7"))));
    CHECK(got.error == errc::connection_lost);
    CHECK(got.retryable);
    CHECK(server.stats().requests == before + 2);
  }
}

TEST_CASE("CurlDriver: an HTTP/2 stream that breaks off is typed, its bytes come first") {
  struct Row {
    const char* what;
    void (*end)(H2Peer&, std::uint32_t);
    errc in_head;
    errc in_body;
  };
  const Row rows[] = {
      {"reset", [](H2Peer& peer, std::uint32_t id) { peer.reset(id, H2Error::internal); },
       errc::connection_lost, errc::truncated},
      {"cancelled", [](H2Peer& peer, std::uint32_t id) { peer.reset(id, H2Error::cancel); },
       errc::connection_lost, errc::truncated},
      {"called a fault", [](H2Peer& peer, std::uint32_t id) { peer.reset(id, H2Error::protocol); },
       errc::protocol_error, errc::protocol_error},
      {"closed", [](H2Peer& peer, std::uint32_t) { peer.close(); }, errc::connection_lost,
       errc::truncated},
      {"closed with GOAWAY",
       [](H2Peer& peer, std::uint32_t id) {
         peer.goaway(id, H2Error::internal);
         peer.close();
       },
       errc::connection_lost, errc::truncated},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const Answered early;
    row.end(*early.peer, early.stream);
    const Outcome lost = early.finish();
    CHECK(lost.error == row.in_head);
    CHECK(lost.retryable == (row.in_head == errc::connection_lost));

    const Answered late;
    late.peer->head(late.stream, 200);
    late.peer->data(late.stream, kPart);
    late.wait_for(kPart.size());
    row.end(*late.peer, late.stream);
    const Outcome cut = late.finish();
    CHECK(cut.error == row.in_body);
    CHECK_FALSE(cut.retryable);
    CHECK(cut.body == kPart);
  }
}

TEST_CASE("CurlDriver: GOAWAY leaves an HTTP/2 body that is under way alone") {
  const Answered that;
  that.peer->head(that.stream, 200);
  that.peer->goaway(that.stream);
  that.peer->data(that.stream, kPart);
  that.peer->data(that.stream, kPart, true);
  CHECK(that.finish().body == kPart + kPart);
}

TEST_CASE("CurlDriver: an HTTP/2 response that breaks the rules is a typed failure") {
  struct Row {
    const char* what;
    void (*answer)(H2Peer&, std::uint32_t);
    errc expected;
  };
  const Row rows[] = {
      {"short of Content-Length",
       [](H2Peer& peer, std::uint32_t id) {
         peer.head(id, 200, {{"content-length", "100000"}});
         peer.data(id, kPart, true);
       },
       errc::protocol_error},
      {"beyond Content-Length",
       [](H2Peer& peer, std::uint32_t id) {
         peer.head(id, 200, {{"content-length", "10"}});
         peer.data(id, kPart, true);
       },
       errc::protocol_error},
      {"no status",
       [](H2Peer& peer, std::uint32_t id) {
         peer.trailers(id, {{"a", "b"}});
       },
       errc::protocol_error},
      {"upper case",
       [](H2Peer& peer, std::uint32_t id) {
         peer.head(id, 200, {{"X-A", "b"}}, true);
       },
       errc::protocol_error},
      {"a field of HTTP/1.1",
       [](H2Peer& peer, std::uint32_t id) {
         peer.head(id, 200, {{"connection", "close"}}, true);
       },
       errc::protocol_error},
      {"status 101", [](H2Peer& peer, std::uint32_t id) { peer.head(id, 101); },
       errc::protocol_error},
      {"too many fields",
       [](H2Peer& peer, std::uint32_t id) {
         peer.head(id, 200, Fields(300, {"a", "b"}), true);
       },
       errc::too_large},
      {"too large a head",
       [](H2Peer& peer, std::uint32_t id) {
         peer.head(id, 200, Fields(10, {"a", std::string(7'000, 'x')}), true);
       },
       errc::too_large},
      {"far too large a head",
       [](H2Peer& peer, std::uint32_t id) {
         peer.head(id, 200, Fields(20, {"a", std::string(7'000, 'x')}), true);
       },
       errc::too_large},
      {"an endless head",
       [](H2Peer& peer, std::uint32_t id) {
         peer.head(id, 200, Fields(100, {"a", std::string(7'000, 'x')}), true);
       },
       errc::too_large},
      {"endless interim heads",
       [](H2Peer& peer, std::uint32_t id) {
         for (int count = 0; count < 300; ++count) peer.head(id, 103, {{"a", "b"}});
       },
       errc::too_large},
      {"too large trailers",
       [](H2Peer& peer, std::uint32_t id) {
         peer.head(id, 200);
         peer.trailers(id, Fields(10, {"a", std::string(7'000, 'x')}));
       },
       errc::too_large},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const Answered that;
    row.answer(*that.peer, that.stream);
    const Outcome got = that.finish();
    CHECK(got.error == row.expected);
    CHECK_FALSE(got.retryable);
  }
}

TEST_CASE("CurlDriver: an HTTP/2 peer that speaks gibberish fails the request") {
  for (const bool garbage : {false, true}) {
    CAPTURE(garbage);
    net::Request what = get("");
    what.headers_timeout = 1s;  // 8.5.0 does not notice
    const Answered that(what);
    if (garbage) that.peer->write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    if (!garbage) that.peer->send(H2Peer::kWindowUpdate, 0, 0, "ab");
    const auto error = that.finish().error;
    const bool typed =
        error == errc::protocol_error || error == errc::connection_lost || error == errc::timed_out;
    CHECK(typed);
  }
}

TEST_CASE("CurlDriver: a paused HTTP/2 stream that is reset delivers what had come") {
  const Answered that;
  that.peer->head(that.stream, 200);
  for (int part = 0; part < 6; ++part) that.peer->data(that.stream, kPart);
  REQUIRE(that.driver.wait_for([](const ClientStats& now) { return now.paused == 1; }));
  that.peer->reset(that.stream, H2Error::internal);
  const std::uint64_t held = that.driver.stats().bytes_received;
  const Outcome got = that.finish();
  CHECK(got.error == errc::truncated);
  CHECK(got.body.size() >= held);
}

TEST_CASE("CurlDriver: cancelling an HTTP/2 body keeps the connection if little of it is left") {
  struct Row {
    const char* what;
    Fields fields;
    std::uint64_t connections;  // after one more request
  };
  const Row rows[] = {{"60 KB left", {{"content-length", "120000"}}, 1},
                      {"100 KB left", {{"content-length", "160000"}}, 2},
                      {"unknown length", {}, 2}};
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Reusing that;
    const auto exchange = that.start();
    H2Peer peer = that.listener.accept();
    const auto stream = peer.request();
    peer.head(stream, 200, row.fields);
    peer.data(stream, kPart);
    REQUIRE(that.driver.wait_for(
        [](const ClientStats& now) { return now.bytes_received == kPart.size(); }));
    exchange->cancel();
    REQUIRE(that.driver.wait_until_idle());
    if (row.connections == 1) {
      peer.data(stream, kPart, true);  // was on its way
      const auto next = that.start();
      CHECK(peer.wait(H2Peer::kRstStream).stream == stream);  // 7.88.1 does not hurry
      peer.head(peer.request(), 204, {}, true);
      CHECK(DriverFixture::finish(*next).status == 204);
    } else {
      peer.wait_for_end();
      CHECK(that.finish_over_new_connection(*that.start()).status == 204);
    }
    CHECK(that.driver.stats().connections_opened == row.connections);
    CHECK(that.driver.stats().queue_memory == 0);
  }
}

TEST_CASE("CurlDriver: the connection of an HTTP/2 body cancelled while paused is read again") {
  Reusing that;
  const auto exchange = std::make_shared<net::Exchange>(
      that.driver.driver().hub(), flow::Watermarks{.high = 1'000, .low = 500, .unread_high = 1'000},
      over_h2(get(that.listener.url())));
  that.driver.driver().start(exchange);
  H2Peer peer = that.listener.accept();
  const auto stream = peer.request();
  peer.head(stream, 200, {{"content-length", "60000"}});
  peer.data(stream, kPart.substr(0, 50'000));
  REQUIRE(that.driver.wait_for([](const ClientStats& now) { return now.paused == 1; }));
  exchange->cancel();
  REQUIRE(that.driver.wait_for([](const ClientStats& now) { return now.active == 0; }));
  const auto next = that.start();
  peer.head(peer.request(), 204, {}, true);
  CHECK(DriverFixture::finish(*next).status == 204);
  CHECK(that.driver.stats().connections_opened == 1);
}

TEST_CASE("CurlDriver: HTTP/2 where both sides speak it, else HTTP/1.1") {
  const auto version = [](const Firehose& server, HttpVersion wanted, std::string body = "") {
    DriverFixture driver(trusting(server.ca_pem()));
    auto what = body.empty() ? get(server.url("/status/200")) : post(server.url("/echo"), body);
    what.version = wanted;
    const auto exchange = driver.start(std::move(what));
    const Outcome got = DriverFixture::finish(*exchange);
    CHECK_FALSE(got.error);
    if (!body.empty()) CHECK(got.body == body);
    return exchange->head.version;
  };
  const auto quirks = net::CurlQuirks::of(curl_version_info(CURLVERSION_NOW)->version_num);
  const auto by_default = quirks.http2_by_default ? HttpVersion::http2 : HttpVersion::http1;
  const auto for_uploads = quirks.http2_upload_spins ? HttpVersion::http1 : HttpVersion::http2;
  const std::string large(500'000, 'x');

  const Firehose both({.tls = true, .http2 = true});
  CHECK(version(both, HttpVersion::automatic) == by_default);
  CHECK(version(both, HttpVersion::http1) == HttpVersion::http1);
  CHECK(version(both, HttpVersion::http2) == HttpVersion::http2);
  CHECK(version(both, HttpVersion::http2_prior_knowledge) == HttpVersion::http2);
  CHECK(version(both, HttpVersion::http2, "small") == HttpVersion::http2);
  CHECK(version(both, HttpVersion::http2, large) == for_uploads);

  const Firehose old({.tls = true});
  CHECK(version(old, HttpVersion::automatic) == HttpVersion::http1);
  CHECK(version(old, HttpVersion::http2) == HttpVersion::http1);

  const Firehose plain({.http2 = true});
  CHECK(version(plain, HttpVersion::automatic) == HttpVersion::http1);
  CHECK(version(plain, HttpVersion::http2) == HttpVersion::http1);
  CHECK(version(plain, HttpVersion::http2_prior_knowledge) == HttpVersion::http2);
  CHECK(version(plain, HttpVersion::http2_prior_knowledge, large) == HttpVersion::http2);
}

TEST_CASE("CurlDriver: prior knowledge that is wrong is a typed failure") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    const Firehose old({.tls = tls});
    DriverFixture driver(trusting(old.ca_pem()));
    const Outcome got = driver.run(with_knowledge(get(old.url("/status/200"))));
    const bool typed = got.error == errc::unsupported || got.error == errc::protocol_error ||
                       got.error == errc::connection_lost || got.error == errc::tls_failed;
    CHECK(typed);
  }
}

TEST_CASE("CurlDriver: prior knowledge and HTTP/1.1 do not use each other's idle connections") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    const Firehose server({.tls = tls, .http2 = true});
    DriverFixture driver(trusting(server.ca_pem()));
    for (const auto version : {HttpVersion::http1, HttpVersion::http2_prior_knowledge,
                               HttpVersion::http1, HttpVersion::automatic}) {
      auto what = get(server.url("/status/200"));
      what.version = version;
      const auto exchange = driver.start(std::move(what));
      CHECK(DriverFixture::finish(*exchange).status == 200);
      const bool http2 = exchange->head.version == HttpVersion::http2;
      if (version != HttpVersion::automatic || !tls) {
        CHECK(http2 == (version == HttpVersion::http2_prior_knowledge));
      }
      REQUIRE(driver.wait_until_idle());
    }
  }
}

TEST_CASE("CurlDriver: a status line of HTTP/2 over HTTP/1.1 breaks the rules") {
  for (const auto wanted : {HttpVersion::automatic, HttpVersion::http2}) {
    for (const char* line : {"HTTP/2 200 OK", "HTTP/2.0 200 OK", "HTTP/3 200 OK"}) {
      CAPTURE(line);
      const Listener listener;
      DriverFixture driver;
      auto what = get(listener.url());
      what.version = wanted;
      const auto exchange = driver.start(std::move(what));
      const Socket socket = listener.accept();
      socket.read_until("\r\n\r\n");
      socket.write(std::string(line) + "\r\nContent-Length: 5\r\n\r\nhello");
      CHECK(DriverFixture::finish(*exchange).error == errc::protocol_error);
    }
  }
}

TEST_CASE("CurlDriver: an HTTP/2 connection is given up with a request that was not answered") {
  Reusing that;
  H2Peer peer = that.prime();
  net::Request what = get("");
  what.headers_timeout = 50ms;
  const auto late = that.start(what);
  peer.request();
  CHECK(DriverFixture::finish(*late).error == errc::timed_out);
  peer.wait_for_end();
  const auto dropped = that.start();
  H2Peer second = that.listener.accept();
  second.request();
  dropped->cancel();
  second.wait_for_end();
  CHECK(that.driver.wait_until_idle());
  CHECK(that.driver.stats().connections_open == 0);
}

TEST_CASE("CurlDriver: a server that cuts unanswered PINGs truncates what stays paused") {
  const Firehose server({.tls = true, .http2 = true, .ping_interval = 20ms, .ping_timeout = 100ms});
  DriverFixture driver(trusting(server.ca_pem()));
  const auto exchange = driver.start(over_h2(get(server.url("/bytes/100000000?seed=3"))));
  REQUIRE(server.wait_for([](const auto& now) { return now.ping_cuts == 1; }));
  const Outcome got = DriverFixture::finish(*exchange);
  CHECK(got.error == errc::truncated);
  CHECK(got.body.size() >= 256 << 10);
  CHECK_FALSE(harness::pattern::check(3, 0, std::as_bytes(std::span(got.body))));
}

TEST_SUITE_END();
