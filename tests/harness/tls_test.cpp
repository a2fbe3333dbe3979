#include "harness/tls.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <memory>

#include "tls_client.hpp"
#include "weir/harness/firehose.hpp"

using namespace weir::harness;
using namespace weir::harness::test;

namespace {

FirehoseOptions with_tls() {
  FirehoseOptions options;
  options.tls = true;
  options.send_buffer = 32 * 1024;
  return options;
}

// Splits a response off its head.
std::string body_of(const std::string& response) {
  return response.substr(response.find("\r\n\r\n") + 4);
}

}  // namespace

TEST_SUITE("harness") {
  TEST_CASE("TLS: the certificate holds for all three names, and its CA is of this server only") {
    const Firehose server(with_tls());
    CHECK(server.url("/x") == "https://127.0.0.1:" + std::to_string(server.port()) + "/x");
    CHECK(TlsClient(server.port(), server.ca_pem(), {"127.0.0.1", true}).connected());
    CHECK(TlsClient(server.port(), server.ca_pem(), {"::1", true}).connected());
    CHECK(TlsClient(server.port(), server.ca_pem()).connected());
    CHECK_FALSE(TlsClient(server.port(), server.ca_pem(), {"example.org"}).connected());
    CHECK_FALSE(TlsClient(server.port(), "").connected());
    const Firehose other(with_tls());
    CHECK_FALSE(TlsClient(server.port(), other.ca_pem()).connected());
    CHECK(server.wait_for([](const FirehoseStats& s) { return s.connections_open == 0; }));
  }

  TEST_CASE("TLS: bodies arrive whole in TLS 1.2 and 1.3, and end with close_notify") {
    const Firehose server(with_tls());
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      for (const char* query : {"?no_length=1", "?no_length=1&write=777"}) {
        CAPTURE(version);
        TlsClient client(server.port(), server.ca_pem(), {"localhost", false, version});
        REQUIRE(client.connected());
        CHECK(SSL_version(client.session()) == version);
        CHECK(client.protocol() == "http/1.1");
        client.send(get("/bytes/3000000" + std::string(query)));
        const std::string body = body_of(client.rest());
        CHECK(client.error() == SSL_ERROR_ZERO_RETURN);
        REQUIRE(body.size() == 3'000'000);
        CHECK_FALSE(pattern::check(0, 0, std::as_bytes(std::span(body))));
      }
    }
  }

  TEST_CASE("TLS: a slow reader blocks the server, which counts plaintext") {
    const Firehose server(with_tls());
    TlsClient client(server.port(), server.ca_pem());
    const std::string target = "/bytes/20000000?no_length=1";
    client.send(get(target));
    REQUIRE(server.wait_until_blocked());
    const FirehoseStats blocked = server.stats();
    CHECK(blocked.times_blocked >= 1);
    CHECK(blocked.bytes_accepted > 0);
    CHECK(blocked.bytes_accepted < 4'000'000);
    const std::string body = body_of(client.rest());
    REQUIRE(body.size() == 20'000'000);
    CHECK_FALSE(pattern::check(0, 0, std::as_bytes(std::span(body))));
    CHECK(server.stats().find(target)->bytes_accepted == 20'000'000);
    CHECK(server.stats().find(target)->state == BodyState::finished);
  }

  TEST_CASE("TLS: `write` bounds each record") {
    const Firehose server(with_tls());
    TlsClient client(server.port(), server.ca_pem());
    client.send(get("/bytes/5000?no_length=1&write=100"));
    CHECK(client.receive().find("\r\n\r\n") != std::string::npos);
    std::size_t records = 0;
    for (std::string piece = client.receive(); !piece.empty(); piece = client.receive()) {
      CHECK(piece.size() == 100);
      ++records;
    }
    CHECK(records == 50);
  }

  TEST_CASE("TLS: a cut body ends by FIN without close_notify, a reset one by RST") {
    const Firehose server(with_tls());
    TlsClient cut(server.port(), server.ca_pem());
    cut.send(get("/bytes/50000?no_length=1&cut_after=30000"));
    CHECK(body_of(cut.rest()).size() == 30'000);
    CHECK(cut.error() != SSL_ERROR_ZERO_RETURN);
    TlsClient reset(server.port(), server.ca_pem());
    reset.send(get("/bytes/50000?rst_after=3000"));
    CHECK(body_of(reset.rest()).size() == 3'000);
    CHECK(reset.error() == SSL_ERROR_SYSCALL);
  }

  TEST_CASE("TLS: clients that leave in the middle raise no signal and are noticed") {
    struct sigaction before {};
    struct sigaction fatal {};
    fatal.sa_handler = SIG_DFL;  // a SIGPIPE would end the program
    sigaction(SIGPIPE, &fatal, &before);
    {
      const Firehose server(with_tls());
      for (int i = 0; i < 20; ++i) {
        TlsClient client(server.port(), server.ca_pem());
        client.send(get("/bytes/100000000?write=" + std::to_string(i % 2 == 0 ? 100 : 100'000)));
        client.receive();
        if (i % 4 < 2)
          client.socket().reset();
        else
          client.socket().close();
      }
      CHECK(server.wait_for([](const FirehoseStats& s) { return s.vanished == 20; }));
      CHECK(server.wait_for([](const FirehoseStats& s) { return s.connections_open == 0; }));
    }
    sigaction(SIGPIPE, &before, nullptr);
  }

  TEST_CASE("TLS: what is no handshake ends its connection only") {
    const Firehose server(with_tls());
    RawClient plain(server.port());
    plain.send(get("/bytes/1"));
    plain.rest();
    TlsClient client(server.port(), server.ca_pem());
    REQUIRE(client.connected());
    client.send(get("/bytes/5?no_length=1"));
    CHECK(body_of(client.rest()).size() == 5);
  }

  TEST_CASE("TLS: a server with open handshakes and stalled bodies stops at once") {
    const std::size_t before = open_descriptors();
    {
      auto server = std::make_unique<Firehose>(with_tls());
      TlsClient stalled(server->port(), server->ca_pem());
      stalled.send(get("/bytes/100000000000"));
      RawClient mute(server->port());
      REQUIRE(server->wait_until_blocked());
      server.reset();
      stalled.rest();
      CHECK(mute.rest().empty());
    }
    CHECK(open_descriptors() == before);
  }

  TEST_CASE("TLS: ALPN chooses HTTP/2 where both sides have it, else HTTP/1.1") {
    struct Row {
      bool http2;
      std::string_view offered;
      const char* chosen;
    };
    for (const Row& row :
         {Row{true, "\x02h2\x08http/1.1", "h2"}, Row{true, "\x08http/1.1\x02h2", "h2"},
          Row{true, "\x02h2", "h2"}, Row{true, "\x08http/1.1", "http/1.1"},
          Row{true,
              "\x03"
              "foo",
              ""},
          Row{true, "", ""}, Row{false, "\x02h2\x08http/1.1", "http/1.1"},
          Row{false, "\x02h2", ""}}) {
      CAPTURE(row.http2);
      CAPTURE(row.chosen);
      FirehoseOptions options = with_tls();
      options.http2 = row.http2;
      const Firehose server(options);
      TlsWishes wishes;
      wishes.protocols = row.offered;
      TlsClient client(server.port(), server.ca_pem(), wishes);
      REQUIRE(client.connected());
      CHECK(client.protocol() == row.chosen);
      if (client.protocol() == "h2") continue;
      client.send(get("/bytes/5?no_length=1"));
      CHECK(body_of(client.rest()).size() == 5);
      CHECK(server.stats().http2_connections == 0);
    }
  }
}
