#include "harness/http2_connection.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "h2_client.hpp"

using namespace weir::harness;
using namespace weir::harness::test;
using std::chrono::milliseconds;

namespace {

FirehoseOptions with_http2(bool tls = false) {
  FirehoseOptions options;
  options.http2 = true;
  options.tls = tls;
  options.send_buffer = 64 * 1024;
  return options;
}

// A client that opens no window by itself.
H2Manners stingy(std::uint32_t window, std::int32_t connection_window = 1 << 24) {
  H2Manners manners;
  manners.window = window;
  manners.connection_window = connection_window;
  manners.opens_windows = false;
  return manners;
}

std::string pattern_text(std::uint64_t seed, std::uint64_t offset, std::size_t size) {
  std::string out(size, '\0');
  pattern::fill(seed, offset, std::as_writable_bytes(std::span(out)));
  return out;
}

bool is_pattern(const std::string& body, std::uint64_t seed = 0) {
  return !pattern::check(seed, 0, std::as_bytes(std::span(body)));
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
  TEST_CASE("HTTP/2: a body arrives as the pattern, plain and over TLS, however it is paced") {
    for (const bool tls : {false, true}) {
      const Firehose server(with_http2(tls));
      H2Client client(server);
      for (const char* query :
           {"", "?chunked=1", "?no_length=1", "?write=999", "?rate=100000000&seed=0",
            "?stall_after=1000&stall_ms=1", "?rate=50000000&write=700&tag=x"}) {
        for (const unsigned size : {0U, 1U, 65535U, 300001U}) {
          const std::string target = "/bytes/" + std::to_string(size) + query;
          CAPTURE(target);
          const H2Response got = client.fetch(target);
          CHECK(got.status == 200);
          CHECK(got.ended);
          CHECK(got.error == 0);
          REQUIRE(got.body.size() == size);
          CHECK(is_pattern(got.body));
          const bool measured =
              target.find("chunked") == target.npos && target.find("no_length") == target.npos;
          CHECK(got.fields.count("content-length") == (measured ? 1 : 0));
          CHECK(end_of(server, target) == BodyState::finished);
          CHECK(server.stats().find(target)->bytes_accepted == size);
        }
      }
      const FirehoseStats stats = server.stats();
      CHECK(stats.requests == 28);
      CHECK(stats.connections_opened == 1);
      CHECK(stats.http2_connections == 1);
      CHECK(stats.bodies.back().stream_id == 2 * 28 - 1);
    }
  }

  TEST_CASE("HTTP/2: a client that gives so many bytes of window gets so many") {
    for (const bool tls : {false, true}) {
      const Firehose server(with_http2(tls));
      H2Client client(server, stingy(100));
      const std::int32_t id = client.request("/bytes/1000000");
      REQUIRE(client.run_until([&] { return client.of(id).body.size() >= 100; }));
      REQUIRE(server.wait_until_blocked({100, 1, milliseconds(0)}));
      REQUIRE(client.round_trip());
      CHECK(client.of(id).body.size() == 100);
      CHECK(server.stats().find("/bytes/1000000")->bytes_accepted == 100);
      CHECK(server.stats().find("/bytes/1000000")->times_blocked == 1);

      client.allow(id, 1);
      REQUIRE(server.wait_until_blocked({101, 1, milliseconds(0)}));
      CHECK(server.stats().find("/bytes/1000000")->times_blocked == 2);
      client.allow(id, 70'000);
      REQUIRE(server.wait_until_blocked({70'101, 1, milliseconds(0)}));
      REQUIRE(client.round_trip());
      CHECK(client.of(id).body.size() == 70'101);
      CHECK(server.stats().bytes_accepted == 70'101);
      client.allow(id, 2'000'000);
      CHECK(is_pattern(client.response(id).body));
      CHECK(client.of(id).body.size() == 1'000'000);
      CHECK(end_of(server, "/bytes/1000000") == BodyState::finished);
    }
  }

  TEST_CASE("HTTP/2: the connection's window holds up all streams together") {
    const Firehose server(with_http2());
    H2Client client(server, stingy(1 << 20, 65535));
    const std::int32_t first = client.request("/bytes/100000?tag=a");
    const std::int32_t second = client.request("/bytes/100000?tag=b");
    REQUIRE(server.wait_until_blocked({0, 2, milliseconds(0)}));
    REQUIRE(client.round_trip());
    CHECK(client.of(first).body.size() + client.of(second).body.size() == 65535);
    CHECK(server.stats().bytes_accepted == 65535);
    client.allow(0, 200'000);
    CHECK(is_pattern(client.response(first).body));
    CHECK(is_pattern(client.response(second).body));
  }

  TEST_CASE("HTTP/2: a client that reads nothing blocks every body of its connection") {
    for (const bool tls : {false, true}) {
      const Firehose server(with_http2(tls));
      H2Manners manners = stingy(0x7FFFFFFF, 0x7FFFFFFF);
      manners.receive_buffer = 64 * 1024;
      H2Client client(server, manners);
      const std::int32_t first = client.request("/bytes/9000000?tag=a");
      const std::int32_t second = client.request("/bytes/9000000?tag=b&seed=5");
      REQUIRE(server.wait_until_blocked({0, 2, milliseconds(50)}));
      const FirehoseStats stats = server.stats();
      CHECK(stats.bytes_accepted < 8'000'000);
      CHECK(stats.bodies[0].blocked);
      CHECK(stats.bodies[1].blocked);
      CHECK(stats.bodies[0].bytes_accepted + stats.bodies[1].bytes_accepted ==
            stats.bytes_accepted);
      client.response(first);
      client.response(second);
      CHECK(client.of(first).body.size() == 9'000'000);
      CHECK(is_pattern(client.of(first).body));
      CHECK(client.of(second).body.size() == 9'000'000);
      CHECK(is_pattern(client.of(second).body, 5));
      CHECK(server.wait_for([](const FirehoseStats& s) { return s.bytes_accepted == 18'000'000; }));
    }
  }

  TEST_CASE("HTTP/2: a paced body counts as blocked only once its window is used up") {
    const Firehose server(with_http2());
    H2Client client(server, stingy(1000));
    const std::string target = "/bytes/5000?rate=100000&write=10";
    const std::int32_t id = client.request(target);
    const std::int32_t stalled = client.request("/bytes/10?stall_after=0");
    REQUIRE(server.wait_until_blocked({1000, 1, milliseconds(20)}));
    REQUIRE(client.round_trip());
    CHECK(client.of(id).body.size() == 1000);
    CHECK(server.stats().find(target)->times_blocked == 1);
    client.allow(id, 4000);
    CHECK(client.response(id).body.size() == 5000);
    CHECK(client.of(stalled).status == 200);
    CHECK(server.stats().find("/bytes/10?stall_after=0")->times_blocked == 0);
  }

  TEST_CASE("HTTP/2: streams take turns, and one that stands still holds up no other") {
    const Firehose server(with_http2());
    H2Client client(server, stingy(1 << 20));
    const std::int32_t starved = client.request("/bytes/2000000?tag=starved");
    const std::int32_t stalled = client.request("/bytes/500000?stall_after=1000");
    std::vector<std::int32_t> others;
    for (int i = 0; i < 20; ++i) {
      others.push_back(client.request("/bytes/500000?seed=" + std::to_string(i)));
    }
    for (std::size_t i = 0; i < others.size(); ++i) {
      const H2Response& got = client.response(others[i]);
      CHECK(got.ended);
      CHECK(got.body.size() == 500'000);
      CHECK(is_pattern(got.body, i));
      client.allow(0, 500'000);
    }
    REQUIRE(client.run_until([&] { return client.of(starved).body.size() >= 1 << 20; }));
    REQUIRE(server.wait_until_blocked({1 << 20, 1, milliseconds(0)}));
    REQUIRE(client.round_trip());
    CHECK(client.of(starved).body.size() == 1 << 20);
    CHECK(client.of(stalled).body.size() == 1000);
    const FirehoseStats stats = server.stats();
    CHECK(stats.find("/bytes/2000000?tag=starved")->blocked);
    CHECK_FALSE(stats.find("/bytes/500000?stall_after=1000")->blocked);
    CHECK(stats.find("/bytes/500000?seed=7")->bytes_accepted == 500'000);
    CHECK(stats.find("/bytes/500000?seed=7")->stream_id == others[7]);
  }

  TEST_CASE("HTTP/2: frames are as large as both `write` and the client allow") {
    const Firehose server(with_http2());
    H2Manners manners;
    manners.window = 1 << 20;
    manners.connection_window = 1 << 20;
    H2Client usual(server, manners);
    CHECK(usual.fetch("/bytes/40000").frames == std::vector<std::size_t>{16384, 16384, 7232});
    CHECK(usual.fetch("/bytes/2500?write=1000").frames ==
          std::vector<std::size_t>{1000, 1000, 500});
    manners.max_frame = 1 << 20;
    H2Client large(server, manners);
    REQUIRE(large.round_trip());  // the server knows the settings
    const std::vector<std::size_t> frames = large.fetch("/bytes/200000").frames;
    CHECK(*std::max_element(frames.begin(), frames.end()) == 65536);
  }

  TEST_CASE("HTTP/2: routes answer as in HTTP/1.1") {
    const Firehose server(with_http2());
    H2Client client(server);
    CHECK(client.fetch("/status/503").status == 503);
    CHECK(client.of(1).body == "503\n");
    CHECK(client.fetch("/status/204").ended);
    CHECK(client.fetch("/nowhere").status == 404);
    CHECK(client.fetch("/bytes/x").status == 400);
    const H2Response hop = client.fetch("/redirect/2?body=5&to=%2Fstatus%2F204");
    CHECK(hop.status == 302);
    CHECK(hop.fields.at("location") == "/redirect/1?body=5&to=%2Fstatus%2F204");
    CHECK(hop.body == pattern_text(0, 0, 5));
    const H2Response interim = client.fetch("/interim/3");
    CHECK(interim.interim == std::vector<int>{103, 103, 103});
    CHECK(interim.status == 200);
    CHECK(interim.body == "ok\n");
    CHECK(client.fetch("/stats?bodies=1").body.find("\"http2_connections\":1") !=
          std::string::npos);
    const H2Response typed = client.fetch("/bytes/3?status=206&content_type=text%2Fplain");
    CHECK(typed.status == 206);
    CHECK(typed.fields.at("content-type") == "text/plain");
  }

  TEST_CASE("HTTP/2: the head of a request is shown, and one too large is refused") {
    const Firehose server(with_http2());
    H2Client client(server);
    const std::int32_t id = client.request("/headers_echo?tag=1", "GET", {}, {{"x-odd", "a  b"}});
    CHECK(client.response(id).body ==
          ":method: GET\r\n:scheme: http\r\n:authority: h\r\n:path: /headers_echo?tag=1\r\n"
          "x-odd: a  b\r\n\r\n");
    std::vector<std::pair<std::string, std::string>> many;
    for (int i = 0; i < 20; ++i) {
      many.emplace_back("x-" + std::to_string(i), std::string(4000, 'v'));
    }
    CHECK(client.response(client.request("/status/200", "GET", {}, many)).status == 431);
    CHECK(client.fetch("/status/200").status == 200);
  }

  TEST_CASE("HTTP/2: many headers arrive, in as many frames as it takes") {
    const Firehose server(with_http2());
    H2Client client(server);
    const H2Response got = client.fetch("/headers?count=1000&size=40");
    CHECK(got.fields.at("x-weir-999") == std::string(40, 'x'));
    CHECK(got.body == "ok\n");
  }

  TEST_CASE("HTTP/2: HEAD has the head of GET and no body") {
    const Firehose server(with_http2());
    H2Client client(server);
    const H2Response got = client.response(client.request("/bytes/1000", "HEAD"));
    CHECK(got.fields.at("content-length") == "1000");
    CHECK(got.ended);
    CHECK(got.body.empty());
    CHECK(got.frames.empty());
    CHECK(end_of(server, "/bytes/1000") == BodyState::finished);
  }

  TEST_CASE("HTTP/2: a request's body is echoed, or read and forgotten") {
    for (const bool tls : {false, true}) {
      const Firehose server(with_http2(tls));
      H2Client client(server);
      const std::string body = pattern_text(9, 0, 600'000);
      const H2Response echo = client.response(client.request("/echo", "POST", body));
      CHECK(echo.body == body);
      CHECK(echo.fields.count("content-length") == 0);
      const H2Response measured =
          client.response(client.request("/echo?rate=100000000", "POST", body,
                                         {{"content-length", "600000"}, {"content-type", "a/b"}}));
      CHECK(measured.body == body);
      CHECK(measured.fields.at("content-length") == "600000");
      CHECK(measured.fields.at("content-type") == "a/b");
      CHECK(client.response(client.request("/status/201", "POST", body)).body == "201\n");
      CHECK(client.fetch("/echo").body.empty());
      const H2Response continued =
          client.response(client.request("/status/200", "PUT", "x", {{"expect", "100-continue"}}));
      CHECK(continued.interim == std::vector<int>{100});
      CHECK(continued.status == 200);
    }
  }

  TEST_CASE("HTTP/2: an echo that is not read takes no more than a window") {
    const Firehose server(with_http2());
    H2Client client(server, stingy(0));
    const std::int32_t id = client.request("/echo", "POST", std::string(1'000'000, 'x'));
    REQUIRE(client.round_trip());
    REQUIRE(client.round_trip());
    REQUIRE(server.wait_until_blocked({0, 1, milliseconds(0)}));
    CHECK(server.stats().bytes_accepted == 0);
    CHECK(client.left_to_send(id) == 1'000'000 - 65535);
    client.allow(id, 40'000);
    REQUIRE(server.wait_until_blocked({40'000, 1, milliseconds(0)}));
    REQUIRE(client.round_trip());
    CHECK(client.of(id).body == std::string(40'000, 'x'));
    CHECK(client.left_to_send(id) >= 1'000'000 - 65535 - 40'000);
    CHECK(client.left_to_send(id) < 1'000'000 - 65535);
    client.allow(id, 960'000);
    CHECK(client.response(id).body.size() == 1'000'000);
  }

  TEST_CASE("HTTP/2: a cut body ends by FIN after so many bytes, and with it its connection") {
    for (const bool tls : {false, true}) {
      for (const unsigned after : {0U, 1U, 70000U}) {
        const Firehose server(with_http2(tls));
        H2Client client(server);
        const std::string target = "/bytes/100000?cut_after=" + std::to_string(after);
        CAPTURE(target);
        const std::int32_t other = client.request("/bytes/10?stall_after=5");
        REQUIRE(client.run_until([&] { return client.of(other).body.size() == 5; }));
        const std::int32_t id = client.request(target);
        CHECK_FALSE(client.run_until([&] { return client.of(id).closed; }));
        CHECK(client.of(id).status == 200);
        CHECK(client.of(id).body == pattern_text(0, 0, after));
        CHECK_FALSE(client.of(id).ended);
        CHECK(client.goaways().empty());
        CHECK(end_of(server, target) == BodyState::cut);
        CHECK(end_of(server, "/bytes/10?stall_after=5") == BodyState::cut);
        CHECK(server.stats().find(target)->bytes_accepted == after);
      }
    }
  }

  TEST_CASE("HTTP/2: a reset ends one stream, where the URL says, whatever its window") {
    const Firehose server(with_http2());
    struct Row {
      const char* target;
      std::size_t bytes;
      std::uint32_t error;
      int status;
    };
    for (const Row& row : {Row{"/bytes/100000?rst_after=0", 0, 2, 200},
                           Row{"/bytes/100000?rst_after=20000", 20000, 2, 200},
                           Row{"/bytes/100000?rst_after=65535", 65535, 2, 200},
                           Row{"/bytes/100000?reset=8&reset_after=1", 1, 8, 200},
                           Row{"/bytes/100000?reset=11", 0, 11, 0}}) {
      CAPTURE(row.target);
      H2Client client(server, stingy(65535));
      const std::int32_t other = client.request("/bytes/1000?stall_after=10");
      const H2Response got = client.fetch(row.target);
      CHECK(got.status == row.status);
      CHECK(got.body == pattern_text(0, 0, row.bytes));
      CHECK(got.error == row.error);
      CHECK_FALSE(got.ended);
      if (row.status != 0) {
        CHECK(end_of(server, row.target) == BodyState::cut);
        CHECK(server.stats().find(row.target)->bytes_accepted == row.bytes);
      }
      CHECK(client.fetch("/status/200").status == 200);
      CHECK_FALSE(client.of(other).closed);
      CHECK(client.goaways().empty());
    }
  }

  TEST_CASE("HTTP/2: a GOAWAY on the way lets what it covers finish, then the connection ends") {
    const Firehose server(with_http2());
    H2Client client(server);
    const std::int32_t other = client.request("/bytes/300000?seed=4");
    const std::int32_t id = client.request("/bytes/200000?goaway_after=1000");
    REQUIRE(client.run_until([&] { return !client.goaways().empty(); }));
    CHECK(client.goaways().front().last_stream == id);
    CHECK(client.goaways().front().error == 0);
    CHECK(client.response(id).body.size() == 200'000);
    CHECK(client.response(other).body.size() == 300'000);
    CHECK(client.of(id).ended);
    CHECK(is_pattern(client.of(other).body, 4));
    CHECK_FALSE(client.run_until([] { return false; }));
    CHECK(client.ended());
    CHECK(client.error() == 0);
    CHECK(end_of(server, "/bytes/200000?goaway_after=1000") == BodyState::finished);
  }

  TEST_CASE("HTTP/2: a refusing GOAWAY leaves its request out, and no other") {
    const Firehose server(with_http2());
    H2Client client(server);
    CHECK(client.fetch("/bytes/5?goaway=refuse&reused=1").body.size() == 5);
    const std::int32_t before = client.request("/bytes/300000?stall_after=9&stall_ms=1");
    const std::int32_t refused = client.request("/bytes/5?goaway=refuse&reused=1");
    CHECK(client.response(refused).error == NGHTTP2_REFUSED_STREAM);
    CHECK(client.of(refused).status == 0);
    REQUIRE(client.goaways().size() == 1);
    CHECK(client.goaways().front().last_stream == before);
    CHECK(client.response(before).body.size() == 300'000);
  }

  TEST_CASE("HTTP/2: connections end without a response where the URL says so") {
    const Firehose server(with_http2());
    for (const char* target : {"/close", "/close?how=rst", "/close?before=blank_line",
                               "/close?before=blank_line&how=rst", "/raw?text=%00%00%00"}) {
      CAPTURE(target);
      H2Client client(server);
      const bool resets = std::string_view(target).find("rst") != std::string_view::npos;
      const std::int32_t id = client.request(target);
      CHECK_FALSE(client.run_until([&] { return client.of(id).closed; }));
      CHECK(client.ended());
      CHECK(client.error() == (resets ? ECONNRESET : 0));
      CHECK_FALSE(client.of(id).ended);
      CHECK(client.goaways().empty());
    }
    H2Client reused(server);
    CHECK(reused.fetch("/close?reused=1").body == "first request\n");
    const std::int32_t id = reused.request("/close?reused=1");
    CHECK_FALSE(reused.run_until([&] { return reused.of(id).closed; }));
    H2Client raw(server);  // a PING frame, made by hand
    raw.request("/raw?text=%00%00%08%06%00%00%00%00%00abcdefgh");
    CHECK_FALSE(raw.run_until([] { return false; }));
    CHECK(raw.pings() == 1);
  }

  TEST_CASE("HTTP/2: a head that drips never ends, until its client resets the stream") {
    const Firehose server(with_http2());
    H2Client client(server);
    const std::int32_t drips = client.request("/drip_headers?ms=1");
    const std::int32_t id = client.request("/status/200");
    REQUIRE(client.run_until([&] { return client.of(drips).fields.count("x-drip-000020") == 1; }));
    CHECK(client.of(id).status == 0);
    client.reset(drips);
    CHECK(client.response(id).body == "200\n");  // the header block was closed and makes sense
    CHECK(server.wait_for([](const FirehoseStats& s) { return s.vanished == 1; }));
  }

  TEST_CASE("HTTP/2: whoever resets, closes or says GOAWAY with an error has vanished") {
    const Firehose server(with_http2());
    H2Client resets(server, stingy(10));
    const std::int32_t id = resets.request("/bytes/100?tag=reset");
    const std::int32_t other = resets.request("/bytes/100?tag=stays");
    const std::int32_t hangs = resets.request("/hang");
    REQUIRE(server.wait_until_blocked({10, 2, milliseconds(0)}));
    resets.reset(id);
    CHECK(end_of(server, "/bytes/100?tag=reset") == BodyState::vanished);
    CHECK(server.stats().find("/bytes/100?tag=stays")->state == BodyState::live);
    CHECK(server.stats().vanished == 1);
    resets.reset(hangs);
    CHECK(server.wait_for([](const FirehoseStats& s) { return s.vanished == 2; }));
    resets.allow(other, 90);
    CHECK(resets.response(other).ended);

    H2Client leaves(server, stingy(10));
    leaves.request("/bytes/100?tag=close");
    REQUIRE(server.wait_until_blocked({10, 1, milliseconds(0)}));
    leaves.socket().close();
    CHECK(end_of(server, "/bytes/100?tag=close") == BodyState::vanished);

    H2Client fails(server, stingy(10));
    fails.request("/bytes/100?tag=goaway");
    REQUIRE(server.wait_until_blocked({10, 1, milliseconds(0)}));
    fails.goaway(NGHTTP2_INTERNAL_ERROR);
    CHECK(end_of(server, "/bytes/100?tag=goaway") == BodyState::vanished);
    CHECK_FALSE(fails.run_until([] { return false; }));
    CHECK(server.wait_for([](const FirehoseStats& s) { return s.vanished == 4; }));
    CHECK(server.wait_for([](const FirehoseStats& s) { return s.connections_open == 1; }));
  }

  TEST_CASE("HTTP/2: PINGs that are answered keep a connection, whatever else stands still") {
    FirehoseOptions options = with_http2();
    options.ping_interval = milliseconds(5);
    options.ping_timeout = std::chrono::seconds(20);
    const Firehose server(options);
    H2Client client(server, stingy(10));
    const std::int32_t id = client.request("/bytes/100");
    REQUIRE(client.run_until([&] { return client.pings() >= 20; }));
    CHECK(client.of(id).body.size() == 10);
    client.allow(id, 90);
    CHECK(client.response(id).ended);
    CHECK(server.stats().pings_sent >= 20);
    CHECK(server.stats().ping_cuts == 0);
  }

  TEST_CASE("HTTP/2: a connection that leaves a PING unanswered is cut") {
    FirehoseOptions options = with_http2();
    options.ping_interval = milliseconds(5);
    options.ping_timeout = milliseconds(20);
    const Firehose server(options);
    H2Manners manners = stingy(10);
    manners.answers_pings = false;
    H2Client mute(server, manners);
    const std::int32_t id = mute.request("/bytes/100");
    CHECK_FALSE(mute.run_until([] { return false; }));
    CHECK(mute.pings() == 1);
    REQUIRE(mute.goaways().size() == 1);
    CHECK(mute.goaways().front().error == 0);
    CHECK(mute.of(id).body.size() == 10);
    CHECK(end_of(server, "/bytes/100") == BodyState::cut);
    CHECK(server.stats().ping_cuts == 1);
    CHECK(server.stats().pings_sent == 1);
  }

  TEST_CASE("HTTP/2: a client that reads nothing at all is cut for its silence, too") {
    FirehoseOptions options = with_http2();
    options.ping_interval = milliseconds(5);
    options.ping_timeout = milliseconds(20);
    const Firehose server(options);
    H2Manners manners = stingy(0x7FFFFFFF, 0x7FFFFFFF);
    manners.receive_buffer = 64 * 1024;
    H2Client client(server, manners);
    client.request("/bytes/1000000000");
    CHECK(end_of(server, "/bytes/1000000000") == BodyState::cut);
    CHECK(server.stats().ping_cuts == 1);
    CHECK(server.stats().bytes_accepted < 8'000'000);
  }

  TEST_CASE("HTTP/2: a head that drips is not cut for PINGs that cannot be sent inside it") {
    FirehoseOptions options = with_http2();
    options.ping_interval = milliseconds(5);
    options.ping_timeout = milliseconds(10);
    const Firehose server(options);
    H2Client client(server);
    const std::int32_t id = client.request("/drip_headers?ms=1");
    CHECK(client.run_until([&] { return client.of(id).fields.count("x-drip-000050") == 1; }));
    CHECK(server.stats().ping_cuts == 0);
  }

  TEST_CASE("HTTP/2: HTTP/1.1 is served on the same port, and HTTP/2 only where it was asked for") {
    const Firehose server(with_http2());
    RawClient one(server.port());
    CHECK(one.fetch("/bytes/1000").body == pattern_text(0, 0, 1000));
    CHECK(one.fetch("/bytes/5?goaway=refuse").status() == 400);
    for (const char* piece :
         {"P", "O", "ST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"}) {
      REQUIRE(one.send(piece));
    }
    CHECK(one.response().body == "x");
    RawClient slow(server.port());
    for (const char c : get("/status/201")) REQUIRE(slow.send({&c, 1}));
    CHECK(slow.response().status() == 201);
    CHECK(server.stats().http2_connections == 0);

    const Firehose old;
    RawClient two(old.port());
    REQUIRE(two.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    CHECK(two.rest().substr(0, 12) == "HTTP/1.1 505");
  }

  TEST_CASE("HTTP/2: a client that breaks the protocol gets a GOAWAY that says so") {
    const Firehose server(with_http2());
    const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const std::string settings("\0\0\0\4\0\0\0\0\0", 9);
    struct Row {
      std::string bytes;
      char error;
    };
    for (const Row& row :
         {Row{"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 1}, Row{preface + std::string(9, '\0'), 1},
          Row{preface + settings + std::string("\0\0\1\6\0\0\0\0\0x", 10), 6},
          Row{preface + settings + std::string("\0\0\4\x8\0\0\0\0\0\0\0\0\0", 13), 1}}) {
      RawClient client(server.port());
      REQUIRE(client.send(row.bytes));
      const std::string all = client.rest();
      CHECK(client.error() == 0);
      // The last frame but for acknowledgements: GOAWAY, last stream 0 and the error.
      const std::size_t at = all.find(std::string("\7\0\0\0\0\0\0\0\0\0\0\0\0", 13));
      REQUIRE(at != all.npos);
      CHECK(all[at + 13] == row.error);
    }
    CHECK(server.wait_for([](const FirehoseStats& s) { return s.connections_open == 0; }));
  }

  TEST_CASE("HTTP/2: a stopping server leaves nothing open, whatever its streams do") {
    const std::size_t before = open_descriptors();
    {
      auto server = std::make_unique<Firehose>(with_http2());
      H2Client client(*server, stingy(10));
      client.request("/bytes/100");
      client.request("/hang");
      client.request("/bytes/100?rate=1");
      REQUIRE(server->wait_until_blocked({10, 1, milliseconds(0)}));
      server.reset();
      CHECK_FALSE(client.run_until([] { return false; }));
    }
    CHECK(open_descriptors() == before);
  }

  TEST_CASE("HTTP/2: a thousand requests on one connection are all accounted for") {
    const Firehose server(with_http2());
    H2Client client(server);
    std::vector<std::int32_t> ids;
    for (unsigned i = 0; i < 1000; ++i) {
      ids.push_back(client.request("/bytes/" + std::to_string(i) + "?seed=" + std::to_string(i)));
      if (i % 100 < 99) continue;
      for (; !ids.empty(); ids.pop_back()) CHECK(client.response(ids.back()).ended);
    }
    CHECK(server.wait_for([](const FirehoseStats& s) {
      return s.bytes_accepted == 999 * 1000 / 2 && s.requests == 1000;
    }));
    CHECK(server.stats().vanished == 0);
    for (const BodyRecord& body : server.stats().bodies) CHECK(body.state == BodyState::finished);
  }
}
