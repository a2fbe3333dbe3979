#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "driver_fixture.hpp"
#include "support/listener.hpp"
#include "support/size.hpp"
#include "support/threads.hpp"
#include "weir/harness/firehose.hpp"

using namespace std::chrono_literals;
using namespace weir::test;
using weir::ClientOptions;
using weir::errc;
using weir::harness::Firehose;
using weir::net::Exchange;

namespace {

constexpr const char* kEmpty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A thread in start_and_wait(); its request has reached a peer that does not answer by itself.
class WaitingCaller {
 public:
  explicit WaitingCaller(DriverFixture& driver, weir::milliseconds headers_timeout = 60s)
      : exchange(driver.make(with_timeout(listener_.url(), headers_timeout))),
        thread_([this, &started = driver.driver()] { started.start_and_wait(exchange); }),
        peer(listener_.accept()) {
    peer.read_until("\r\n\r\n");
  }
  ~WaitingCaller() {
    if (thread_.joinable()) thread_.join();
  }
  pthread_t thread() { return thread_.native_handle(); }
  /// Returns once start_and_wait() has: what came of the request.
  Outcome outcome() {
    thread_.join();
    return DriverFixture::finish(*exchange);
  }

 private:
  static weir::net::Request with_timeout(std::string url, weir::milliseconds headers_timeout) {
    weir::net::Request made = get(std::move(url));
    made.headers_timeout = headers_timeout;
    return made;
  }

  const Listener listener_;

 public:
  const std::shared_ptr<Exchange> exchange;

 private:
  std::thread thread_;

 public:
  Socket peer;
};

/// How often the I/O thread went to sleep so far, once it sleeps.
std::string sleeps_of_io_thread() {
  while (thread_status("weir-io", "State").rfind("S", 0) != 0) std::this_thread::yield();
  return thread_status("weir-io", "voluntary_ctxt_switches");
}

std::atomic<bool> signalled{false};

extern "C" void note_signal(int) { signalled.store(true); }

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("CurlDriver: a lone caller that waits drives its requests, and wakes no other thread") {
  const Firehose server;
  DriverFixture driver;
  const std::string before = sleeps_of_io_thread();
  for (int i = 0; i < 100; ++i) {
    const auto exchange = driver.make(get(server.url("/status/200")));
    driver.driver().start_and_wait(exchange);
    REQUIRE(exchange->head_ready());
    const Outcome got = DriverFixture::finish(*exchange);
    CHECK_FALSE(got.error);
    CHECK(got.status == 200);
  }
  CHECK(driver.stats().connections_opened == 1);
  CHECK(driver.stats().requests == 100);
  CHECK(driver.stats().active == 0);
  CHECK_FALSE(before.empty());
  CHECK(thread_status("weir-io", "voluntary_ctxt_switches") == before);
}

TEST_CASE("CurlDriver: a body that is still to come goes on without the caller that waited") {
  const Firehose server;
  DriverFixture driver;
  const auto exchange = driver.make(get(server.url("/bytes/20000000?seed=5")));
  driver.driver().start_and_wait(exchange);
  REQUIRE(exchange->head_ready());
  CHECK(driver.wait_for([](const auto& now) { return now.pauses != 0; }));
  const Outcome got = DriverFixture::finish(*exchange);
  CHECK_FALSE(got.error);
  CHECK(got.body.size() == 20'000'000);
}

TEST_CASE("CurlDriver: what others start while a caller drives does not wait for it") {
  const Firehose server;
  DriverFixture driver;
  WaitingCaller caller(driver);
  for (int i = 0; i < 3; ++i) {
    const Outcome other = driver.run(get(server.url("/bytes/1000000?seed=5")));
    CHECK_FALSE(other.error);
    CHECK(other.body.size() == 1'000'000);
  }
  caller.peer.write(kEmpty);
  CHECK(caller.outcome().status == 200);
}

TEST_CASE("CurlDriver: a cancel ends the wait of the caller that drives") {
  DriverFixture driver;
  WaitingCaller caller(driver);
  caller.exchange->cancel();
  CHECK(caller.outcome().error == errc::aborted);
  CHECK(driver.wait_for([](const auto& now) { return now.connections_open == 0; }));
}

TEST_CASE("CurlDriver: deadlines hold while a caller drives") {
  DriverFixture driver;
  WaitingCaller caller(driver, 50ms);
  const Outcome got = caller.outcome();
  CHECK(got.error == errc::timed_out);
  CHECK(got.detail.find("headers_timeout") != got.detail.npos);
}

TEST_CASE("CurlDriver: stop() while a caller drives aborts its request") {
  DriverFixture driver;
  WaitingCaller caller(driver);
  driver.driver().stop();
  CHECK(caller.outcome().error == errc::aborted);
  CHECK(driver.stats().active == 0);
}

TEST_CASE("CurlDriver: may be destroyed while a caller drives") {
  for (int i = 0; i < sized(20, 200, 2000); ++i) {
    auto driver = std::make_unique<DriverFixture>();
    WaitingCaller caller(*driver);
    if (i % 2 == 0) caller.peer.write(kEmpty);
    driver.reset();
    const Outcome got = caller.outcome();
    CHECK((got.error == errc::aborted || (i % 2 == 0 && got.status == 200)));
  }
}

TEST_CASE("CurlDriver: signals are delivered to a caller that drives, and change nothing") {
  struct sigaction before {};
  struct sigaction noting {};
  noting.sa_handler = note_signal;
  REQUIRE(::sigaction(SIGUSR1, &noting, &before) == 0);
  DriverFixture driver;
  WaitingCaller caller(driver);
  for (int i = 0; i < 3; ++i) {
    signalled.store(false);
    REQUIRE(::pthread_kill(caller.thread(), SIGUSR1) == 0);
    while (!signalled.load()) std::this_thread::yield();
  }
  caller.peer.write(kEmpty);
  CHECK(caller.outcome().status == 200);
  ::sigaction(SIGUSR1, &before, nullptr);
}

namespace {

constexpr const char* kPieces = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";

/// A thread that fetches, and then reads bytes that come when the test sends them.
class ReadingCaller {
 public:
  explicit ReadingCaller(DriverFixture& driver)
      : exchange(driver.make(get(listener_.url()))),
        thread_([this, &driver] { read(driver); }),
        peer(listener_.accept()) {
    peer.read_until("\r\n\r\n");
    peer.write(kPieces);
  }
  ~ReadingCaller() {
    if (thread_.joinable()) thread_.join();
  }
  Outcome outcome() {
    thread_.join();
    return outcome_;
  }

 private:
  void read(DriverFixture& driver) {
    driver.driver().start_and_wait(exchange);
    outcome_ = DriverFixture::finish(*exchange);
  }

  const Listener listener_;

 public:
  const std::shared_ptr<Exchange> exchange;

 private:
  Outcome outcome_;
  std::thread thread_;

 public:
  Socket peer;
};

}  // namespace

TEST_CASE("CurlDriver: a lone reader gets every piece as it comes") {
  DriverFixture driver;
  ReadingCaller reader(driver);
  const std::string piece(1000, 'x');
  for (std::uint64_t sent = 1000; sent <= 100'000; sent += 1000) {
    reader.peer.write(piece);
    REQUIRE(driver.wait_for([&](const auto&) { return reader.exchange->stats().drained == sent; }));
  }
  const Outcome got = reader.outcome();
  CHECK_FALSE(got.error);
  CHECK(got.body.size() == 100'000);
  CHECK(driver.wait_until_idle());
}

TEST_CASE("CurlDriver: a reader that does not come back leaves its body to the I/O thread") {
  const Firehose server;
  DriverFixture driver;
  const auto exchange = driver.make(get(server.url("/bytes/20000000?seed=5")));
  driver.driver().start_and_wait(exchange);
  for (std::uint64_t pauses = 1; pauses <= 3; ++pauses) {
    const auto result = exchange->take(1, weir::flow::Wait::for_ever());
    REQUIRE(result.status == weir::ReadStatus::data);
    CHECK(driver.wait_for([&](const auto& now) { return now.paused == 1; }));
  }
  CHECK(DriverFixture::finish(*exchange).body.size() == 20'000'000 - 3);
}

TEST_CASE("CurlDriver: others, a cancel and stop() get through to a reader that drives") {
  const Firehose server;
  DriverFixture driver;
  ReadingCaller reader(driver);
  reader.peer.write("piece");
  REQUIRE(driver.wait_for([&](const auto&) { return reader.exchange->stats().drained == 5; }));
  SUBCASE("others") {
    for (int i = 0; i < 3; ++i) {
      CHECK(driver.run(get(server.url("/bytes/1000000?seed=5"))).body.size() == 1'000'000);
    }
    reader.exchange->cancel();
  }
  SUBCASE("a cancel") { reader.exchange->cancel(); }
  SUBCASE("stop()") { driver.driver().stop(); }
  CHECK(reader.outcome().error == errc::aborted);
}

TEST_CASE("CurlDriver: a deadline ends the wait of a reader that drives, and nothing else") {
  DriverFixture driver;
  const Listener listener;
  const auto exchange = driver.make(get(listener.url()));
  std::thread fetching([&] { driver.driver().start_and_wait(exchange); });
  const Socket peer = listener.accept();
  peer.read_until("\r\n\r\n");
  peer.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  fetching.join();
  for (int i = 0; i < 3; ++i) {
    weir::flow::Wait wait;
    wait.deadline = driver.driver().hub()->clock.now() + 5ms;
    CHECK(exchange->take(100, wait).status == weir::ReadStatus::pending);
  }
  peer.write("hello");
  const Outcome got = DriverFixture::finish(*exchange);
  CHECK_FALSE(got.error);
  CHECK(got.body == "hello");
}

TEST_SUITE_END();
