#include "net/curl_handle_pool.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <future>
#include <string>
#include <utility>
#include <vector>

#include "driver_fixture.hpp"
#include "net/curl_driver.hpp"
#include "support/listener.hpp"
#include "weir/harness/firehose.hpp"

using namespace weir;
using namespace weir::test;
using harness::Firehose;
using net::CurlHandlePool;
using net::Request;

namespace {

struct Row {
  const char* what;
  Request request;
};

std::string with_userinfo(std::string url) {
  return url.insert(url.find("//") + 2, "user:secret@");
}

Request get_with(std::string url, Headers headers) {
  Request made = get(std::move(url));
  made.headers = std::move(headers);
  return made;
}

/// One for each thing in which requests differ for libcurl.
std::vector<Row> rows(const Firehose& server, const char* path) {
  const std::string url = server.url(path);
  std::vector<Row> all{
      {"plain", get(url)},
      {"fields", get_with(url, {{"User-Agent", "x"}, {"X-Empty", ""}, {"Accept", "text/html"}})},
      {"fields that libcurl knows",
       get_with(url, {{"Host", "other"}, {"Content-Type", "a/b"}, {"Expect", "100-continue"}})},
      {"credentials in a field", get_with(url, {{"Authorization", "Bearer secret"}})},
      {"credentials in the URL", get(with_userinfo(url))},
      {"HEAD", request("HEAD", url)},
      {"DELETE", request("DELETE", url)},
      {"a method of its own", request("BREW", url)},
      {"a body", post(url, "order")},
      {"an empty body", post(url, "")},
      {"POST without a body", request("POST", url)},
      {"PUT", post(url, "order")},
      {"a URL to be encoded", get(url + "?q=caf\xc3\xa9 x")},
      {"a long URL", get(url + "?q=" + std::string(3000, 'x'))},
      {"HTTP/1.1 by name", get(url)},
      {"timeouts", get(url)},
  };
  for (Row& row : all) {
    const std::string what = row.what;
    if (what == "PUT") row.request.method = "PUT";
    if (what == "HTTP/1.1 by name") row.request.version = HttpVersion::http1;
    if (what == "timeouts") row.request.total_timeout = std::chrono::seconds(50);
  }
  return all;
}

/// How many handles one exchange leaves in the pool of a new driver, or of one that has served a
/// request already.
std::size_t kept_after(Request what, bool cancel = false, const char* before = nullptr) {
  DriverFixture driver;
  if (before != nullptr) REQUIRE(driver.run(get(before)).status == 200);
  if (cancel) {
    const auto exchange = driver.start(std::move(what));
    REQUIRE(exchange->wait_open(flow::Wait::for_ever()));
    exchange->cancel();
  } else {
    driver.run(std::move(what));
  }
  REQUIRE(driver.wait_until_idle());
  driver.driver().stop();
  return static_cast<net::CurlDriver&>(driver.driver()).handles().size();
}

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("CurlHandlePool: gives back the last one first, and keeps no more than its bound") {
  CurlHandlePool pool;
  CHECK(pool.take() == nullptr);
  std::vector<CURL*> given;
  for (std::size_t i = 0; i < CurlHandlePool::kMost + 3; ++i) {
    auto handle = net::made<net::EasyHandle>(curl_easy_init());
    given.push_back(handle.get());
    pool.give(std::move(handle));
  }
  CHECK(pool.size() == CurlHandlePool::kMost);
  for (std::size_t i = CurlHandlePool::kMost; i-- > 0;) {
    CHECK(pool.take().get() == given[i]);
  }
  CHECK(pool.take() == nullptr);
}

TEST_CASE("CurlHandlePool: no request leaves anything behind in the next one") {
  const Firehose server;
  std::vector<std::string> golden;
  for (const Row& row : rows(server, "/headers_echo")) {
    DriverFixture fresh;
    const Outcome got = fresh.run(row.request);
    REQUIRE_FALSE(got.error);
    golden.push_back(got.body);
  }
  const auto all = rows(server, "/headers_echo");
  DriverFixture driver;
  for (std::size_t before = 0; before < all.size(); ++before) {
    for (std::size_t after = 0; after < all.size(); ++after) {
      CAPTURE(all[before].what);
      CAPTURE(all[after].what);
      CHECK(driver.run(all[before].request).body == golden[before]);
      CHECK(driver.run(all[after].request).body == golden[after]);
    }
  }
  CHECK(driver.stats().connections_opened == 1);
}

TEST_CASE("CurlHandlePool: only a plain exchange that went well leaves its handle there") {
  const Firehose server;
  for (const Row& row : rows(server, "/status/200")) {
    CAPTURE(row.what);
    const std::string what = row.what;
    const bool plain =
        row.request.method == "GET" && what != "a long URL" && what != "credentials in the URL";
    CHECK(kept_after(row.request) == (plain ? 1 : 0));
  }
  CHECK(kept_after(get(server.url("/status/404"))) == 1);
  CHECK(kept_after(get(server.url("/headers?count=60&size=10"))) == 1);
  CHECK(kept_after(get(server.url("/headers?count=70&size=10"))) == 0);
  CHECK(kept_after(get(server.url("/headers?count=1&size=9000"))) == 0);
  CHECK(kept_after(get(server.url("/close"))) == 0);
  CHECK(kept_after(get(server.url("/bytes/1000?cut_after=500"))) == 0);
  CHECK(kept_after(get(server.url("/bytes/1000?stall_after=500")), true) == 0);
}

TEST_CASE(
    "CurlHandlePool: an exchange that took a handle, and does not go well, keeps it to itself") {
  const Firehose server;
  const std::string first = server.url("/status/200");
  CHECK(kept_after(get(first), false, first.c_str()) == 1);
  CHECK(kept_after(post(first, "order"), false, first.c_str()) == 0);
  CHECK(kept_after(get(server.url("/close?reused=1")), false, first.c_str()) == 0);
  CHECK(kept_after(get(server.url("/bytes/9?cut_after=5")), false, first.c_str()) == 0);
  CHECK(kept_after(get(with_userinfo(first)), false, first.c_str()) == 1);  // took none
}

TEST_CASE("CurlHandlePool: what went to a new connection leaves the next one free to reuse it") {
  constexpr const char* kGood = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
  const Listener listener;
  std::promise<void> idle;
  auto served = std::async(std::launch::async, [&] {
    Socket first = listener.accept();
    first.read_until("\r\n\r\n");
    first.write(kGood);
    idle.get_future().wait();
    const linger hard{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(first.fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    first.close();
  });
  DriverFixture driver;
  CHECK(driver.run(get(listener.url())).body == "good");
  REQUIRE(driver.wait_until_idle());
  idle.set_value();
  served.get();
  auto again = std::async(std::launch::async, [&] {
    const Socket second = listener.accept();
    for (int i = 0; i < 2 && !second.read_until("\r\n\r\n").empty(); ++i) second.write(kGood);
  });
  CHECK(driver.run(get(listener.url())).body == "good");
  CHECK(driver.run(get(listener.url())).body == "good");
  CHECK(driver.stats().connections_opened == 2);
  again.get();
}

TEST_SUITE_END();
