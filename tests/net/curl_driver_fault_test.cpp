#include <doctest/doctest.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <future>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "driver_fixture.hpp"
#include "support/listener.hpp"
#include "weir/harness/firehose.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;
using harness::Firehose;

namespace {

std::atomic<int> watches_to_refuse{0};

bool on_io_thread() noexcept {
  std::array<char, 16> name{};
  ::pthread_getname_np(::pthread_self(), name.data(), name.size());
  return std::string_view(name.data()) == "weir-io";
}

constexpr const char* kGood = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";

/// Accepts one connection and answers each request on it with the next of `responses`.
std::future<int> serve(const Listener& listener, std::vector<std::string> responses) {
  return std::async(std::launch::async, [&listener, responses = std::move(responses)] {
    const Socket peer = listener.accept();
    int answered = 0;
    for (const auto& response : responses) {
      if (peer.read_until("\r\n\r\n").empty()) break;
      peer.write(response);
      ++answered;
    }
    return answered;
  });
}

}  // namespace

// Stands before the C library's. The server of the test has its own thread, and is spared.
extern "C" int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
  if (operation == EPOLL_CTL_ADD && watches_to_refuse.load() > 0 && on_io_thread()) {
    watches_to_refuse.fetch_sub(1);
    errno = ENOSPC;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_epoll_ctl, epoll, operation, fd, event));
}

TEST_SUITE_BEGIN("net");

TEST_CASE("CurlDriver: after a 417 the request is not sent again, nor its answer mixed up") {
  for (const char* method : {"PUT", "POST"}) {
    CAPTURE(method);
    const Listener listener;
    auto served =
        serve(listener, {"HTTP/1.1 417 No\r\nX-First: 1\r\nContent-Length: 3\r\n\r\nbad", kGood});
    net::Request what = post(listener.url(), std::string(100, 'x'));
    what.method = method;
    what.headers.set("Expect", "100-continue");
    Outcome got;
    {
      DriverFixture driver;
      got = driver.run(what);
    }
    CHECK(got.status == 417);
    CHECK(got.error == errc::truncated);
    CHECK_FALSE(got.retryable);
    CHECK(got.body.find("good") == std::string::npos);
    CHECK(served.get() == 1);
  }
}

TEST_CASE("CurlDriver: a 417 without a body is whole") {
  const Listener listener;
  auto served = serve(listener, {"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n", kGood});
  net::Request what = post(listener.url(), std::string(100, 'x'));
  what.headers.set("Expect", "100-continue");
  Outcome got;
  {
    DriverFixture driver;
    got = driver.run(what);
  }
  CHECK(got.status == 417);
  CHECK_FALSE(got.error);
  CHECK(served.get() == 1);
}

TEST_CASE("CurlDriver: a complete response ends an upload that the server does not read") {
  for (const std::string body : {"", "yes"}) {
    CAPTURE(body);
    const Listener listener;
    std::promise<void> done;
    auto served = std::async(std::launch::async, [&] {
      const Socket peer = listener.accept();
      peer.read_until("\r\n\r\n");
      peer.write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                 body);
      done.get_future().wait();
    });
    DriverFixture driver;
    const Outcome got = driver.run(post(listener.url(), std::string(30'000'000, 'x')));
    CAPTURE(got.detail);
    CHECK_FALSE(got.error);
    CHECK(got.body == body);
    done.set_value();
    served.get();
  }
}

TEST_CASE("CurlDriver: uploads that were sent whole keep their connection") {
  const Firehose server;
  DriverFixture driver;
  for (const std::size_t size : {std::size_t{1}, std::size_t{70'000}, std::size_t{1'000'000}}) {
    CAPTURE(size);
    CHECK(driver.run(post(server.url("/echo"), std::string(size, 'x'))).body.size() == size);
    CHECK(driver.run(post(server.url("/status/200"), std::string(size, 'x'))).status == 200);
  }
  CHECK(driver.stats().connections_opened == 1);
}

TEST_CASE("CurlDriver: an idle connection that was reset is not used, not even for a POST") {
  const Listener listener;
  std::promise<void> idle;
  auto served = std::async(std::launch::async, [&] {
    Socket first = listener.accept();
    first.read_until("\r\n\r\n");
    first.write(kGood);
    idle.get_future().wait();
    const linger hard{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(first.fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    first.close();  // over loopback the other side has it when this returns
  });
  DriverFixture driver;
  CHECK(driver.run(get(listener.url())).body == "good");
  REQUIRE(driver.wait_until_idle());
  idle.set_value();
  served.get();
  auto again = serve(listener, {kGood});
  CHECK(driver.run(post(listener.url(), "order")).body == "good");
  CHECK(again.get() == 1);
  CHECK(driver.stats().connections_opened == 2);
}

TEST_CASE("CurlDriver: a header line too long even for libcurl is too_large") {
  const Listener listener;
  auto served = serve(listener, {"HTTP/1.1 200 OK\r\nX: " + std::string(110 << 10, 'x') +
                                 "\r\nContent-Length: 0\r\n\r\n"});
  DriverFixture driver;
  const Outcome got = driver.run(get(listener.url()));
  CHECK(got.error == errc::too_large);
  CHECK(got.detail.find("max_header_bytes") != std::string::npos);
  CHECK(served.get() == 1);
}

TEST_CASE("CurlDriver: a socket that cannot be watched fails its own exchange only") {
  const Firehose server;
  DriverFixture driver;
  const auto flowing = driver.start(get(server.url("/bytes/3000000?rate=6000000")));
  REQUIRE(flowing->wait_open(flow::Wait::for_ever()));
  watches_to_refuse = 1;
  const Outcome refused = driver.run(get(server.url("/bytes/1000")));
  watches_to_refuse = 0;
  CHECK(refused.error == errc::resource_exhausted);
  const Outcome whole = DriverFixture::finish(*flowing);
  CHECK_FALSE(whole.error);
  CHECK(whole.body.size() == 3'000'000);
  CHECK(driver.run(get(server.url("/bytes/1000"))).body.size() == 1000);
}

TEST_CASE("CurlDriver: without idle connections each request has a new one") {
  const Firehose server;
  DriverFixture driver({.max_idle_connections = 0});
  for (int i = 0; i < 3; ++i) CHECK(driver.run(get(server.url("/status/200"))).status == 200);
  CHECK(driver.stats().connections_opened == 3);
  CHECK(driver.wait_for([](const ClientStats& now) { return now.connections_open == 0; }));
}

TEST_SUITE_END();
