#include "net/curl_driver.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "driver_fixture.hpp"
#include "support/listener.hpp"
#include "support/threads.hpp"
#include "weir/harness/firehose.hpp"

using namespace std::chrono_literals;
using namespace weir::test;
using weir::ClientOptions;
using weir::ClientStats;
using weir::errc;
using weir::harness::Firehose;
using weir::harness::FirehoseStats;

namespace {

bool contains(const std::string& text, const char* part) { return text.find(part) != text.npos; }

/// No socket can be opened while this lives.
class NoMoreFds {
 public:
  NoMoreFds() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest = ::dup(STDIN_FILENO);
    REQUIRE(lowest > 0);
    ::close(lowest);
    rlimit none = before_;
    none.rlim_cur = static_cast<rlim_t>(lowest);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  }
  ~NoMoreFds() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoMoreFds(const NoMoreFds&) = delete;
  NoMoreFds& operator=(const NoMoreFds&) = delete;

 private:
  rlimit before_{};
};

constexpr const char* kHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

std::uint64_t requests_of(const Firehose& server) { return server.stats().requests; }

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("CurlDriver: fetches a body, twice over one connection") {
  const Firehose server;
  DriverFixture driver;
  for (int i = 0; i < 2; ++i) {
    const Outcome got = driver.run(get(server.url("/bytes/100000?seed=5")));
    CHECK_FALSE(got.error);
    CHECK(got.status == 200);
    CHECK(got.body.size() == 100'000);
    CHECK_FALSE(weir::harness::pattern::check(5, 0, std::as_bytes(std::span(got.body))));
  }
  CHECK(driver.stats().connections_opened == 1);
  CHECK(driver.stats().requests == 2);
  CHECK(driver.stats().bytes_received == 200'000);
}

TEST_CASE("CurlDriver: a port that refuses is connect_failed, and retryable") {
  std::string url;
  {
    const Listener gone;
    url = gone.url();
  }
  DriverFixture driver;
  const Outcome got = driver.run(get(url));
  CHECK(got.error == errc::connect_failed);
  CHECK(got.retryable);
  CHECK(driver.stats().connections_open == 0);
}

TEST_CASE("CurlDriver: a host without an address is resolve_failed") {
  DriverFixture driver;
  const Outcome got = driver.run(get("http://nonexistent.invalid/"));
  CHECK(got.error == errc::resolve_failed);
  CHECK(got.retryable);
  CHECK(driver.stats().connections_opened == 0);
}

TEST_CASE("CurlDriver: a connect that hangs ends after connect_timeout") {
  const SilentPort silent;
  ClientOptions options;
  options.connect_timeout = 50ms;
  DriverFixture driver(options);
  const Outcome got = driver.run(get(silent.url()));
  CHECK(got.error == errc::timed_out);
  CHECK(contains(got.detail, "connect_timeout"));
  CHECK(got.retryable);
  CHECK(driver.wait_for([](const ClientStats& now) { return now.connections_open == 0; }));
}

TEST_CASE("CurlDriver: a TLS handshake without an answer ends after connect_timeout") {
  const Listener silent;
  ClientOptions options;
  options.connect_timeout = 50ms;
  DriverFixture driver(options);
  const Outcome got = driver.run(get(silent.url("/", "https")));
  CHECK(got.error == errc::timed_out);
  CHECK(contains(got.detail, "connect_timeout"));
}

TEST_CASE("CurlDriver: a POST is sent once when its reused connection closes without an answer") {
  const Firehose server;
  for (const char* how : {"fin", "rst"}) {
    CAPTURE(how);
    DriverFixture driver;
    REQUIRE(driver.run(get(server.url("/status/200"))).status == 200);
    const auto before = requests_of(server);
    const Outcome got =
        driver.run(post(server.url(std::string("/close?reused=1&how=") + how), "order"));
    CHECK(got.error == errc::connection_lost);
    CHECK(got.retryable);
    CHECK(requests_of(server) == before + 1);
    CHECK(driver.run(get(server.url("/status/200"))).status == 200);
  }
}

TEST_CASE("CurlDriver: a GET is sent again, once, when its reused connection closes") {
  const Firehose server;
  for (const char* how : {"fin", "rst"}) {
    CAPTURE(how);
    DriverFixture driver;
    REQUIRE(driver.run(get(server.url("/status/200"))).status == 200);
    const auto before = requests_of(server);
    const Outcome got = driver.run(get(server.url(std::string("/close?reused=1&how=") + how)));
    CHECK_FALSE(got.error);
    CHECK(got.status == 200);
    CHECK(requests_of(server) == before + 2);
    CHECK(driver.stats().connections_opened == 2);
  }
}

TEST_CASE(
    "CurlDriver: what is sent again goes over a new connection, and is not sent a third time") {
  const Firehose server;
  DriverFixture driver;
  // Three idle connections, each of which closes when it is used again.
  std::vector<std::shared_ptr<weir::net::Exchange>> primed;
  for (int i = 0; i < 3; ++i) {
    primed.push_back(driver.start(get(server.url("/bytes/300000?stall_after=0&stall_ms=20"))));
  }
  for (const auto& exchange : primed) REQUIRE_FALSE(DriverFixture::finish(*exchange).error);
  REQUIRE(driver.stats().connections_opened == 3);
  auto before = requests_of(server);
  CHECK(driver.run(get(server.url("/close?reused=1"))).status == 200);
  CHECK(requests_of(server) == before + 2);
  CHECK(driver.stats().connections_opened == 4);

  before = requests_of(server);
  const Outcome got = driver.run(get(server.url("/close")));
  CHECK(got.error == errc::connection_lost);
  CHECK(got.retryable);
  CHECK(requests_of(server) == before + 2);
}

TEST_CASE("CurlDriver: a PUT is sent again only if its body is still there") {
  const Firehose server;
  for (const bool replayable : {true, false}) {
    CAPTURE(replayable);
    DriverFixture driver;
    REQUIRE(driver.run(get(server.url("/status/200"))).status == 200);
    const auto before = requests_of(server);
    auto what = post(server.url("/close?reused=1"), "order");
    what.method = "PUT";
    what.replayable = replayable;
    const Outcome got = driver.run(std::move(what));
    CHECK(got.error == (replayable ? std::nullopt : std::optional(errc::connection_lost)));
    CHECK(requests_of(server) == before + (replayable ? 2U : 1U));
  }
}

TEST_CASE("CurlDriver: nothing is sent again after a byte of the response") {
  const Firehose server;
  DriverFixture driver;
  REQUIRE(driver.run(get(server.url("/status/200"))).status == 200);
  const auto before = requests_of(server);
  const Outcome got = driver.run(get(server.url("/close?reused=1&before=blank_line")));
  CHECK(got.error == errc::connection_lost);
  CHECK_FALSE(got.retryable);
  CHECK(requests_of(server) == before + 1);
}

TEST_CASE("CurlDriver: no more descriptors is resource_exhausted, and passes") {
  const Firehose server;
  DriverFixture driver;
  Outcome got;
  {
    const NoMoreFds none;
    got = driver.run(get(server.url("/status/200")));
  }
  CHECK(got.error == errc::resource_exhausted);
  CHECK(driver.run(get(server.url("/status/200"))).status == 200);
  CHECK(driver.stats().connections_opened == 1);
}

TEST_CASE("CurlDriver: what it is given after stop() is aborted, and so is what was under way") {
  const Firehose server;
  DriverFixture driver;
  const auto waiting = driver.start(get(server.url("/hang")));
  const auto streaming = driver.start(get(server.url("/bytes/1000000000")));
  CHECK(streaming->wait_open(weir::flow::Wait::for_ever()));
  driver.driver().stop();
  CHECK(DriverFixture::finish(*waiting).error == errc::aborted);
  CHECK(DriverFixture::finish(*streaming).error == errc::aborted);
  CHECK(driver.run(get(server.url("/status/200"))).error == errc::aborted);
  const ClientStats stats = driver.stats();
  CHECK(stats.active == 0);
  CHECK(stats.connections_open == 0);
  CHECK(stats.queue_memory == 0);
  driver.driver().stop();
}

TEST_CASE("CurlDriver: a certificate is accepted by its CA only, and for its names only") {
  const Firehose server({.tls = true});
  const std::string wrong_name =
      "https://wrong.localhost:" + std::to_string(server.port()) + "/status/200";
  ClientOptions options;

  DriverFixture with_system_cas;
  CHECK(with_system_cas.run(get(server.url("/status/200"))).error == errc::tls_failed);

  options.tls.ca_pem = server.ca_pem();
  DriverFixture with_pem(options);
  CHECK(with_pem.run(get(server.url("/status/200"))).status == 200);
  CHECK(with_pem.run(get(wrong_name)).error == errc::tls_failed);

  const auto path =
      std::filesystem::temp_directory_path() / ("weir-ca-" + std::to_string(::getpid()) + ".pem");
  std::ofstream(path) << server.ca_pem();
  options.tls = {.ca_file = path.string()};
  DriverFixture with_file(options);
  const Outcome got = with_file.run(get(server.url("/status/200")));
  std::filesystem::remove(path);
  CHECK(got.status == 200);

  options.tls = {.verify = false};
  DriverFixture unverified(options);
  CHECK(unverified.run(get(wrong_name)).status == 200);
}

TEST_CASE("CurlDriver: a head beyond its limits is too_large") {
  const Firehose server;
  DriverFixture driver;
  const Outcome many = driver.run(get(server.url("/headers?count=300&size=10")));
  CHECK(many.error == errc::too_large);
  CHECK(contains(many.detail, "max_header_fields"));
  CHECK_FALSE(many.retryable);
  const Outcome large = driver.run(get(server.url("/headers?count=10&size=10000")));
  CHECK(large.error == errc::too_large);
  CHECK(contains(large.detail, "max_header_bytes"));
  CHECK(driver.run(get(server.url("/headers?count=200&size=250"))).status == 200);
}

TEST_CASE("CurlDriver: headers that drip do not put off headers_timeout") {
  const Firehose server;
  DriverFixture driver;
  for (const char* path : {"/drip_headers?ms=5", "/hang"}) {
    CAPTURE(path);
    auto what = get(server.url(path));
    what.headers_timeout = 100ms;
    const Outcome got = driver.run(std::move(what));
    CHECK(got.error == errc::timed_out);
    CHECK(contains(got.detail, "headers_timeout"));
  }
  CHECK(driver.wait_for([](const ClientStats& now) { return now.connections_open == 0; }));
}

TEST_CASE("CurlDriver: a body that falls silent ends after idle_timeout, its bytes first") {
  const Firehose server;
  DriverFixture driver;
  auto what = get(server.url("/bytes/1000?stall_after=600"));
  what.idle_timeout = 100ms;
  const Outcome got = driver.run(std::move(what));
  CHECK(got.error == errc::timed_out);
  CHECK(contains(got.detail, "idle_timeout"));
  CHECK(got.body.size() == 600);
  CHECK_FALSE(got.retryable);
}

TEST_CASE("CurlDriver: total_timeout ends a body that does well, and consumer_timeout one unread") {
  const Firehose server;
  DriverFixture driver;
  auto endless = get(server.url("/bytes/9000000000000?rate=1000000"));
  endless.total_timeout = 200ms;
  const Outcome late = driver.run(std::move(endless));
  CHECK(late.error == errc::timed_out);
  CHECK(contains(late.detail, "total_timeout"));

  auto unread = get(server.url("/bytes/1000000000"));
  unread.consumer_timeout = 100ms;
  const auto exchange = driver.start(std::move(unread));
  REQUIRE(driver.wait_until_idle());
  const Outcome stalled = DriverFixture::finish(*exchange);
  CHECK(stalled.error == errc::consumer_stalled);
  CHECK(stalled.body.size() >= 256 << 10);
  CHECK(stalled.body.size() <= (256 << 10) + (16 << 10));
}

TEST_CASE("CurlDriver: a cut body is truncated, a reset one too, after the bytes before") {
  const Firehose server;
  DriverFixture driver;
  for (const char* how : {"cut_after", "rst_after"}) {
    CAPTURE(how);
    const Outcome got = driver.run(get(server.url(std::string("/bytes/100000?") + how + "=50000")));
    CHECK(got.error == errc::truncated);
    CHECK(got.body.size() == 50'000);
  }
}

TEST_CASE("CurlDriver: bytes beyond Content-Length are dropped, and their connection is") {
  const Listener listener;
  DriverFixture driver;
  auto exchange = driver.start(get(listener.url()));
  Socket first = listener.accept();
  first.read_until("\r\n\r\n");
  first.write(std::string(kHello) + "surplus");
  CHECK(DriverFixture::finish(*exchange).body == "hello");

  exchange = driver.start(get(listener.url()));
  Socket second = listener.accept();  // would fail if the first were used again
  second.read_until("\r\n\r\n");
  second.write(kHello);
  CHECK(DriverFixture::finish(*exchange).body == "hello");
}

TEST_CASE("CurlDriver: bytes that nobody asked for are nobody's response") {
  const Listener listener;
  DriverFixture driver;
  auto exchange = driver.start(get(listener.url()));
  Socket first = listener.accept();
  first.read_until("\r\n\r\n");
  first.write(kHello);
  CHECK(DriverFixture::finish(*exchange).body == "hello");
  first.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");

  exchange = driver.start(get(listener.url()));
  Socket second = listener.accept();
  second.read_until("\r\n\r\n");
  second.write(kHello);
  CHECK(DriverFixture::finish(*exchange).body == "hello");
}

TEST_CASE("CurlDriver: cancelling a body keeps the connection if little of it is left") {
  const Firehose server;
  struct Row {
    const char* what;
    const char* path;
    std::size_t read;
    std::uint64_t connections;  // after one more request
  };
  const Row rows[] = {
      {"60 KB left", "/bytes/200000?stall_after=140000&stall_ms=20", 140'000, 1},
      {"100 KB left", "/bytes/200000?stall_after=100000&stall_ms=20", 100'000, 2},
      {"little left, but late", "/bytes/200000?stall_after=199000", 199'000, 2},
      {"unknown length", "/bytes/200000?chunked=1&stall_after=199000&stall_ms=20", 199'000, 2},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    DriverFixture driver;
    const auto exchange = driver.start(get(server.url(row.path)));
    REQUIRE(exchange->wait_open(weir::flow::Wait::for_ever()));
    std::size_t read = 0;
    while (read < row.read) read += exchange->take(1 << 20, {}).chunk.size();
    REQUIRE(read == row.read);
    exchange->cancel();
    CHECK(driver.wait_until_idle());
    CHECK(driver.run(get(server.url("/status/200"))).status == 200);
    CHECK(driver.stats().connections_opened == row.connections);
    CHECK(driver.stats().queue_memory == 0);
  }
}

TEST_CASE("CurlDriver: an exchange cancelled before it starts, or while it waits, is released") {
  const Firehose server;
  DriverFixture driver;
  const auto early = std::make_shared<weir::net::Exchange>(
      driver.driver().hub(), weir::flow::Watermarks{}, get(server.url("/bytes/1000000000")));
  early->cancel();
  driver.driver().start(early);
  CHECK(DriverFixture::finish(*early).error == errc::aborted);
  const auto waiting = driver.start(get(server.url("/hang")));
  CHECK(server.wait_for([](const FirehoseStats& now) { return now.requests > 0; }));
  waiting->cancel();
  CHECK(DriverFixture::finish(*waiting).error == errc::aborted);
  CHECK(driver.wait_until_idle());
}

TEST_CASE("CurlDriver: its thread has a name, and leaves all signals to the program") {
  const Firehose server;
  DriverFixture driver;
  REQUIRE(driver.run(get(server.url("/status/200"))).status == 200);  // it runs by now
  const std::string blocked = thread_status("weir-io", "SigBlk");
  REQUIRE_FALSE(blocked.empty());
  const auto mask = std::strtoull(blocked.c_str(), nullptr, 16);
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2,
                           SIGCHLD, SIGPROF, SIGIO, SIGRTMAX}) {
    CAPTURE(signal);
    CHECK((mask >> (signal - 1) & 1) == 1);
  }
}

TEST_SUITE_END();
