#include <doctest/doctest.h>

#include <sys/resource.h>
#include <future>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "resources.hpp"
#include "slow_lookup.hpp"
#include "subprocess.hpp"
#include "support/listener.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace std::chrono_literals;
using namespace weir::test;
using weir::Client;
using weir::ClientOptions;
using weir::ClientStats;
using weir::Reader;
using weir::Response;

namespace {

constexpr std::size_t kKiB = 1024;

ClientOptions small_queues(const ServerProcess& server) {
  ClientOptions options;
  options.high_water = 64 * kKiB;
  options.unread_high_water = 32 * kKiB;
  options.tls.ca_pem = server.ca();
  return options;
}

/// A hang becomes an error.
weir::RequestInit bounded() { return {.total_timeout = 60s}; }

std::chrono::microseconds cpu_used() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

struct Drained {
  std::uint64_t read = 0;
  weir::BodyStats stats{};
  std::chrono::duration<double, std::micro> cpu{};  // of this process
};

/// Reads a body of `size` bytes as fast as it comes.
Drained drain(const ServerProcess& server, std::uint64_t size, weir::RequestInit marks) {
  Client client;
  Response response = client.fetch(server.url("/bytes/" + std::to_string(size)), std::move(marks));
  Reader reader = response.body.reader();
  const auto before = cpu_used();
  Drained drained;
  while (const auto chunk = reader.read()) drained.read += chunk->size();
  drained.cpu = cpu_used() - before;
  drained.stats = reader.stats();
  return drained;
}

}  // namespace

TEST_SUITE_BEGIN("stress");

TEST_CASE("Connections: 480 requests in a row use one, whether their bodies pause or not") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    const ServerProcess server(tls);
    Client client(small_queues(server));
    std::uint64_t pauses = 0;
    for (int i = 0; i < 480; ++i) {
      CAPTURE(i);
      const bool pausing = i % 3 == 0;
      const std::size_t size = pausing ? 300 * kKiB : static_cast<std::size_t>(i * 10);
      const std::string path = "/bytes/" + std::to_string(size) + (i % 2 == 0 ? "?chunked=1" : "");
      Response response = client.fetch(server.url(path), bounded());
      if (pausing) REQUIRE(eventually([&] { return response.body.stats().paused; }));
      Reader reader = response.body.reader();
      std::uint64_t read = 0;
      while (const auto chunk = reader.read()) read += chunk->size();
      REQUIRE(read == size);
      pauses += reader.stats().pauses;
    }
    const ClientStats stats = client.stats();
    CHECK(stats.connections_opened == 1);
    CHECK(pauses >= 160);
    CHECK(stats.pauses == stats.resumes);
    CHECK(is_clean(client));
  }
}

TEST_CASE("Connections: beside 150 open bodies, 100 requests in a row share one more") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    const ServerProcess server(tls);
    Client client(small_queues(server));
    std::vector<Response> unread;
    std::vector<Reader> paused;
    for (int i = 0; i < 150; ++i) {
      Response response = client.fetch(server.url("/bytes/300000"), bounded());
      if (i % 2 == 0) {
        unread.push_back(std::move(response));
        continue;
      }
      paused.push_back(response.body.reader());
      REQUIRE(paused.back().read());
    }
    REQUIRE(eventually([&] { return client.stats().paused == 150; }));
    for (int i = 0; i < 100; ++i) {
      CAPTURE(i);
      REQUIRE(client.fetch(server.url("/bytes/1000"), bounded()).bytes().size() == 1000);
    }
    CHECK(client.stats().connections_opened == 151);
    CHECK(client.stats().paused == 150);
    unread.clear();
    paused.clear();
    CHECK(is_clean(client));
    CHECK(eventually([&] { return client.stats().connections_open <= 1; }));
  }
}

TEST_CASE("Connections: an address that does not answer gives way to the next in time") {
  const SilentPort silent;
  const Listener answering(16, 2, silent.port());
  ClientOptions options;
  options.connect_timeout = 2s;
  std::optional<Client> client(options);
  std::thread server([&answering] {
    try {
      const Socket accepted = answering.accept();
      accepted.read_until("\r\n\r\n");
      accepted.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
      accepted.read_until("never");
    } catch (const std::system_error&) {
      return;  // nobody came: fetch() throws too
    }
  });
  std::string text;
  try {
    const std::string port = std::to_string(silent.port());
    text = client->fetch(std::string("http://") + kTwoAddresses + ":" + port + "/").text();
  } catch (const weir::Error& error) {
    text = error.what();
  }
  CHECK(text == "hello");
  const ClientStats stats = client->stats();
  client.reset();
  server.join();
  CHECK(stats.connections_opened == 2);
  CHECK(stats.connections_open <= 1);
}

TEST_CASE("Connections: addresses that refuse give way to the next at once") {
  const Listener answering(16, 9);  // 127.0.0.9; nobody listens on the others
  std::future<bool> served = std::async(std::launch::async, [&answering] {
    const Socket accepted = answering.accept();
    const bool asked = !accepted.read_until("\r\n\r\n").empty();
    accepted.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    return asked;
  });
  ClientOptions options;
  options.connect_timeout =
      30s;  // left alone, libcurl waits for half of what is left of it, each time
  Client client(options);
  const std::string url =
      std::string("http://") + kNineAddresses + ":" + std::to_string(answering.port()) + "/";
  CHECK(client.fetch(url, {.headers_timeout = 10s}).text() == "hello");
  CHECK(served.get());
  CHECK(client.stats().connections_opened == 9);
}

TEST_CASE("Lookups: the threads that make them take no signals, though a caller has made those") {
  Client client;
  try {
    static_cast<void>(client.fetch(std::string("http://") + kSlowHost, bounded()));
    FAIL("the host was found");
  } catch (const weir::Error& error) {
    CHECK(error.code() == weir::errc::resolve_failed);
  }
  CHECK_FALSE(lookup_takes_signals());
}

TEST_CASE("Pause: a cycle of pause and resume costs less than 100 us of CPU") {
  const ServerProcess server;
  const std::uint64_t size = sized<std::uint64_t>(16, 256, 1024) << 20;
  const Drained pausing = drain(server, size, {.high_water = 32 * kKiB, .low_water = 8 * kKiB});
  const Drained flowing = drain(server, size, {.high_water = 32 * kKiB * kKiB});
  CHECK(pausing.read == size);
  CHECK(flowing.read == size);
  CHECK(pausing.stats.pauses == pausing.stats.resumes);
  REQUIRE(pausing.stats.pauses > flowing.stats.pauses);
  const auto cycles = static_cast<double>(pausing.stats.pauses - flowing.stats.pauses);
  const double each = (pausing.cpu - flowing.cpu).count() / cycles;
  MESSAGE(pausing.stats.pauses, " cycles, one in ", size / pausing.stats.pauses, " bytes, cost ",
          each, " us of CPU each beyond those of a body that paused ", flowing.stats.pauses,
          " times; ", pausing.cpu.count() / cycles, " us with all work included");
  if (!under_sanitizer()) CHECK(each < 100);
}

TEST_SUITE_END();
