#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "driver_fixture.hpp"
#include "net/curl_driver.hpp"
#include "support/listener.hpp"
#include "support/memory.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"

using namespace std::chrono_literals;
using namespace weir::test;
using weir::ClientOptions;
using weir::errc;
using weir::harness::Firehose;
namespace pattern = weir::harness::pattern;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::string pattern_text(std::size_t size) {
  std::string text(size, '\0');
  pattern::fill(7, 0, std::as_writable_bytes(std::span(text)));
  return text;
}

bool contains(const std::string& text, const char* part) { return text.find(part) != text.npos; }

ClientOptions trusting(const Firehose& server) {
  ClientOptions options;
  options.tls.ca_pem = server.ca_pem();
  return options;
}

volatile sig_atomic_t broken_pipes = 0;

/// Counts SIGPIPE instead of dying of it.
class CountBrokenPipes {
 public:
  CountBrokenPipes() {
    broken_pipes = 0;
    struct sigaction count {};
    count.sa_handler = [](int) { broken_pipes = broken_pipes + 1; };
    ::sigaction(SIGPIPE, &count, &before_);
  }
  ~CountBrokenPipes() { ::sigaction(SIGPIPE, &before_, nullptr); }
  CountBrokenPipes(const CountBrokenPipes&) = delete;
  CountBrokenPipes& operator=(const CountBrokenPipes&) = delete;

 private:
  struct sigaction before_ {};
};

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("CurlDriver: a large upload arrives whole while its echo is read, in bounded memory") {
  const std::size_t size = sized<std::size_t>(5, 50, 50) * kMiB;
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    const Firehose server({.tls = tls});
    DriverFixture driver(trusting(server));
    auto what = post(server.url("/echo"), pattern_text(size));
    reset_peak_rss();
    const std::size_t before = rss();
    const auto exchange = driver.start(std::move(what));
    REQUIRE(exchange->wait_open(weir::flow::Wait::for_ever()));
    std::size_t read = 0;
    bool right = true;
    while (const auto result = exchange->take(kMiB, {})) {
      right = right && !pattern::check(7, read, result.chunk.bytes());
      read += result.chunk.size();
    }
    CHECK(right);
    CHECK(read == size);
    CHECK(driver.stats().peak_queue_memory <= 4 * kMiB + 3 * (64u << 10));
    const std::size_t grown = peak_rss() - std::min(before, peak_rss());
    MESSAGE("RSS grew by ", grown >> 10, " KiB while ", size >> 20, " MiB were echoed");
    if (!under_sanitizer()) CHECK(grown < 16 * kMiB);
  }
}

TEST_CASE("CurlDriver: a server that leaves amid an upload is an error, and no SIGPIPE") {
  const CountBrokenPipes counting;
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    auto server = std::make_unique<Firehose>(weir::harness::FirehoseOptions{.tls = tls});
    DriverFixture driver(trusting(*server));
    const auto exchange =
        driver.start(post(server->url("/echo?rate=100000"), pattern_text(10 * kMiB)));
    REQUIRE(exchange->wait_open(weir::flow::Wait::for_ever()));  // it has begun to read
    server.reset();
    const Outcome got = DriverFixture::finish(*exchange);
    CHECK((got.error == errc::truncated || got.error == errc::connection_lost));
    CHECK(driver.wait_until_idle());
  }
  CHECK(broken_pipes == 0);

  // Before a byte of response.
  const Listener listener;
  DriverFixture driver;
  const auto exchange = driver.start(post(listener.url(), pattern_text(10 * kMiB)));
  Socket accepted = listener.accept();
  accepted.read_until("\r\n\r\n");
  accepted.close();
  const Outcome got = DriverFixture::finish(*exchange);
  CHECK(got.error == errc::connection_lost);
  CHECK(broken_pipes == 0);
}

TEST_CASE("CurlDriver: an upload that nobody reads ends after idle_timeout") {
  const Listener listener;
  DriverFixture driver;
  auto what = post(listener.url(), pattern_text(20 * kMiB));
  what.idle_timeout = 100ms;
  const Outcome got = driver.run(std::move(what));
  CHECK(got.error == errc::timed_out);
  CHECK(contains(got.detail, "idle_timeout"));
  CHECK(got.retryable);
}

TEST_CASE("CurlDriver: headers_timeout begins with the last byte of the upload") {
  const Listener listener;
  DriverFixture driver;
  auto what = post(listener.url(), pattern_text(20 * kMiB));
  what.headers_timeout = 500ms;
  const auto exchange = driver.start(std::move(what));
  const Socket accepted = listener.accept();
  std::string part(kMiB, '\0');
  std::size_t left = accepted.read_until("\r\n\r\n").size();  // more than its share: enough
  ::poll(nullptr, 0, 800);  // the pace of a slow server, longer than headers_timeout
  for (left = 20 * kMiB - left; left > 0;) {
    const std::size_t count = accepted.read(part.data(), std::min(left, part.size()));
    if (count == 0) break;
    left -= count;
  }
  accepted.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  const Outcome got = DriverFixture::finish(*exchange);
  CHECK_FALSE(got.error);
  CHECK(got.body == "ok");
}

TEST_CASE("CurlDriver: headers_timeout ends a wait for the answer to an upload") {
  const Firehose server;
  DriverFixture driver;
  for (const std::size_t size : {std::size_t{5}, 100 * std::size_t{1000}, 5 * kMiB}) {
    CAPTURE(size);
    auto what = post(server.url("/hang"), pattern_text(size));
    what.headers_timeout = 150ms;
    const Outcome got = driver.run(std::move(what));
    CHECK(got.error == errc::timed_out);
    CHECK(contains(got.detail, "headers_timeout"));
    CHECK(got.retryable);
  }
}

TEST_CASE("CurlDriver: an empty body has a length, and text is echoed as sent") {
  const Firehose server;
  DriverFixture driver;
  const Outcome empty = driver.run(post(server.url("/headers_echo"), ""));
  CHECK(contains(empty.body, "Content-Length: 0\r\n"));
  CHECK(driver.run(post(server.url("/echo"), "hello")).body == "hello");
  CHECK(driver.stats().connections_opened == 1);
}

TEST_SUITE_END();
