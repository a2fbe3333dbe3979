#include "weir/harness/firehose.hpp"

#include <doctest/doctest.h>
#include <sys/ioctl.h>

#include <chrono>
#include <future>
#include <memory>
#include <system_error>

#include "raw_client.hpp"

using namespace weir::harness;
using namespace weir::harness::test;
using namespace std::chrono_literals;

namespace {

std::size_t waiting_in(int fd) {
  int bytes = 0;
  ioctl(fd, FIONREAD, &bytes);
  return static_cast<std::size_t>(bytes);
}

bool has_ipv6_loopback() {
  const int fd = socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  if (fd >= 0) close(fd);
  return bound;
}

FirehoseOptions small_buffer() {
  FirehoseOptions options;
  options.send_buffer = 32 * 1024;
  return options;
}

}  // namespace

TEST_SUITE("harness") {
  TEST_CASE("Firehose: gives the URL of a path, and serves there") {
    const Firehose server;
    const std::string base = "http://127.0.0.1:" + std::to_string(server.port());
    CHECK(server.url() == base);
    CHECK(server.url("/bytes/1?x") == base + "/bytes/1?x");
    CHECK(server.url("bytes/1") == base + "/bytes/1");
    CHECK(server.ca_pem().empty());
    RawClient client(server.port());
    CHECK(client.fetch("/bytes/1").whole);
  }

  TEST_CASE("Firehose: a port that is taken is a system_error") {
    const Firehose server;
    FirehoseOptions same;
    same.port = server.port();
    CHECK_THROWS_AS(Firehose{same}, std::system_error);
  }

  TEST_CASE("Firehose: listens on ::1 if asked to, or says that it cannot") {
    FirehoseOptions options;
    options.ipv6 = true;
    if (!has_ipv6_loopback()) {
      CHECK_THROWS_AS(Firehose{options}, std::system_error);
      return;
    }
    const Firehose server(options);
    CHECK(server.url("/x") == "http://[::1]:" + std::to_string(server.port()) + "/x");
  }

  TEST_CASE("Firehose: counts what the kernel took from a body that nobody reads") {
    const Firehose server(small_buffer());
    RawClient client(server.port(), 32 * 1024);
    const std::string target = "/bytes/30000000?chunked=1";
    client.send(get(target));
    REQUIRE(server.wait_until_blocked());
    const FirehoseStats blocked = server.stats();
    const BodyRecord* body = blocked.find(target);
    REQUIRE(body != nullptr);
    CHECK(body->blocked);
    CHECK(body->times_blocked >= 1);
    CHECK(body->bytes_accepted == blocked.bytes_accepted);
    const std::uint64_t all = blocked.bytes_accepted + blocked.head_bytes;
    CHECK(all >= waiting_in(client.fd()));
    CHECK(all < 4'000'000);  // what two kernels' small buffers can hold
    CHECK(server.stats().bytes_accepted == blocked.bytes_accepted);

    const RawResponse got = client.response();
    REQUIRE(got.whole);
    CHECK_FALSE(pattern::check(0, 0, std::as_bytes(std::span(got.body))));
    REQUIRE(server.wait_for(
        [&](const FirehoseStats& s) { return s.find(target)->state == BodyState::finished; }));
    const FirehoseStats after = server.stats();
    CHECK(after.bytes_accepted == 30'000'000);
    CHECK(after.head_bytes > got.head.size());
    CHECK_FALSE(after.find(target)->blocked);
    CHECK_FALSE(server.wait_until_blocked({0, 1, 0ms}, 0ms));
  }

  TEST_CASE("Firehose: each step of a slow reader lets as much follow") {
    const Firehose server(small_buffer());
    RawClient client(server.port(), 32 * 1024);
    client.send(get("/bytes/1000000000"));
    const std::size_t head = client.head().size();
    REQUIRE(server.wait_until_blocked({1, 1, 50ms}));
    std::uint64_t before = server.stats().bytes_accepted;
    std::uint64_t offset = 0;
    for (int step = 0; step < 5; ++step) {
      const std::string piece = client.bytes(4'000'000);
      REQUIRE(piece.size() == 4'000'000);
      REQUIRE_FALSE(pattern::check(0, offset, std::as_bytes(std::span(piece))));
      offset += piece.size();
      REQUIRE(server.wait_until_blocked({before + 1, 1, 50ms}));
      const std::uint64_t now = server.stats().bytes_accepted;
      CHECK(now >= offset);
      CHECK(now - offset < 4'000'000);
      before = now;
    }
    CHECK(head > 0);
  }

  TEST_CASE("Firehose: waits for several blocked bodies, and tells them by tag") {
    const Firehose server(small_buffer());
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 10; ++i) {
      clients.push_back(std::make_unique<RawClient>(server.port(), 32 * 1024));
      clients.back()->send(get("/bytes/100000000?tag=" + std::to_string(i)));
    }
    CHECK(server.wait_until_blocked({1, 10, 20ms}));
    CHECK_FALSE(server.wait_until_blocked({1, 11, 20ms}, 0ms));
    CHECK(server.stats().find("/bytes/100000000?tag=7")->bytes_accepted > 0);
    clients.erase(clients.begin() + 7);
    CHECK(server.wait_for([](const FirehoseStats& s) {
      return s.connections_open == 9 && s.vanished == 1 &&
             s.find("/bytes/100000000?tag=7")->state == BodyState::vanished;
    }));
  }

  TEST_CASE("Firehose: a wait that is not fulfilled is false") {
    const Firehose server;
    CHECK_FALSE(server.wait_until_blocked({}, 1ms));
    CHECK_FALSE(server.wait_for([](const FirehoseStats&) { return false; }, 1ms));
    CHECK(server.wait_for([](const FirehoseStats& s) { return s.requests == 0; }, 0ms));
  }

  TEST_CASE("Firehose: /stats tells the counters as JSON") {
    const Firehose server;
    RawClient client(server.port());
    client.fetch("/bytes/1234?tag=a");
    const std::string stats = client.fetch("/stats?bodies=1").body;
    CHECK(stats.find("\"bytes_accepted\":1234,") != stats.npos);
    CHECK(stats.find("\"requests\":2,") != stats.npos);
    CHECK(stats.find("\"connections_opened\":1,\"connections_open\":1") != stats.npos);
    CHECK(stats.find("\"path\":\"/bytes/1234?tag=a\",\"bytes_accepted\":1234") != stats.npos);
  }

  TEST_CASE("Firehose: the destructor ends whatever is going on, and leaves nothing behind") {
    const std::size_t before = open_descriptors();
    {
      std::vector<std::unique_ptr<RawClient>> clients;
      auto server = std::make_unique<Firehose>(small_buffer());
      for (const char* target :
           {"/bytes/9000000000000", "/bytes/9000000000000?chunked=1", "/bytes/9?stall_after=3",
            "/bytes/900000?rate=1", "/hang", "/drip_headers?ms=1", "/bytes/5?no_length=1",
            "/bytes/5?cut_after=2", "/bytes/1"}) {
        clients.push_back(std::make_unique<RawClient>(server->port(), 32 * 1024));
        clients.back()->send(get(target));
      }
      clients.push_back(std::make_unique<RawClient>(server->port()));
      clients.back()->send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
      clients.push_back(std::make_unique<RawClient>(server->port()));
      clients.back()->send("GET /half");
      CHECK(server->wait_until_blocked({1, 2, 0ms}));
      CHECK(server->wait_for(
          [](const FirehoseStats& s) { return s.requests == 10 && s.connections_opened == 11; }));
      server.reset();
      for (const auto& client : clients) client->rest();  // returns: every connection has ended
      CHECK(open_descriptors() == before + clients.size());
    }
    CHECK(open_descriptors() == before);
  }

  TEST_CASE("Firehose: connections that come and go leave no descriptor") {
    const Firehose server;
    const std::size_t before = open_descriptors();
    for (int i = 0; i < 300; ++i) {
      RawClient client(server.port());
      client.send(get("/bytes/100000"));
      if (i % 3 == 0) client.head();
      if (i % 3 == 1) client.reset();
    }
    CHECK(server.wait_for([](const FirehoseStats& s) {
      return s.connections_opened == 300 && s.connections_open == 0;
    }));
    CHECK(open_descriptors() == before);
  }

  TEST_CASE("Firehose: four hundred connections stand still together") {
    const Firehose server;
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 400; ++i) {
      clients.push_back(std::make_unique<RawClient>(server.port()));
      clients.back()->send(get("/bytes/1000?stall_after=10"));
    }
    CHECK(server.wait_for([](const FirehoseStats& s) { return s.bytes_accepted == 4'000; }));
    CHECK(server.stats().bodies.size() == 400);
    clients.clear();
    CHECK(server.wait_for([](const FirehoseStats& s) { return s.vanished == 400; }));
  }

  TEST_CASE("Firehose: its counters may be read from any thread meanwhile") {
    const Firehose server;
    auto watcher = std::async(std::launch::async, [&] {
      std::uint64_t last = 0;
      while (true) {
        const FirehoseStats stats = server.stats();
        if (stats.bytes_accepted < last) return false;
        last = stats.bytes_accepted;
        if (stats.requests == 200) return true;
      }
    });
    RawClient client(server.port());
    for (int i = 0; i < 200; ++i) REQUIRE(client.fetch("/bytes/10000?write=1000").whole);
    CHECK(watcher.get());
  }
}
