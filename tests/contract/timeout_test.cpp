#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "contract/transports.hpp"
#include "support/listener.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

// Who carries out the transfer: the thread that waits, the I/O thread, or the I/O thread among
// other transfers.
enum class Driven { by_caller, by_io_thread, among_others };

struct Row {
  const char* name;
  const char* path;
  std::function<RequestInit()> init;
  errc code;
  const char* detail;
  milliseconds limit;          // it must not come sooner
  bool reads = true;           // the body
  std::uint64_t at_least = 0;  // bytes of it, before the failure
};

std::string text(std::size_t size) { return std::string(size, 'x'); }

constexpr auto kLimit = 40ms;

/// Each phase of an exchange with the timeout that ends it; the others are long, or none.
std::vector<Row> rows() {
  const auto timed = errc::timed_out;
  const auto headers = [] { return RequestInit{.headers_timeout = kLimit}; };
  const auto idle = [] { return RequestInit{.idle_timeout = kLimit}; };
  const auto total = [] {
    return RequestInit{.max_redirects = 1'000'000, .total_timeout = kLimit};
  };
  return {
      {"no answer", "/hang", headers, timed, "headers_timeout (40 ms)", kLimit},
      {"no answer, others off", "/hang",
       [] { return RequestInit{.headers_timeout = kLimit, .idle_timeout = 0ms}; }, timed,
       "headers_timeout (40 ms)", kLimit},
      {"no answer, whole time", "/hang", total, timed, "total_timeout (40 ms)", kLimit},
      {"no answer, only that", "/hang",
       [] {
         return RequestInit{.headers_timeout = 0ms, .idle_timeout = 1ms, .total_timeout = kLimit};
       },
       timed, "total_timeout (40 ms)", kLimit},
      {"idle is not for heads", "/hang",
       [] { return RequestInit{.headers_timeout = kLimit, .idle_timeout = 1ms}; }, timed,
       "headers_timeout (40 ms)", kLimit},
      {"dripping head", "/drip_headers?ms=5", headers, timed, "headers_timeout (40 ms)", kLimit},
      {"no answer to a body", "/hang",
       [] { return RequestInit{.body = text(5), .headers_timeout = kLimit}; }, timed,
       "headers_timeout (40 ms)", kLimit},
      {"no answer to a large body", "/hang",
       [] { return RequestInit{.body = text(300'000), .headers_timeout = kLimit}; }, timed,
       "headers_timeout (40 ms)", kLimit},
      {"redirect to nowhere", "/redirect/3?to=/hang", headers, timed, "headers_timeout (40 ms)",
       kLimit},
      {"redirect of a body to nowhere", "/redirect/3?status=307&to=/hang",
       [] { return RequestInit{.body = text(50'000), .headers_timeout = kLimit}; }, timed,
       "headers_timeout (40 ms)", kLimit},
      {"redirects without end", "/redirect/1000000",
       [] { return RequestInit{.max_redirects = 1'000'000, .headers_timeout = kLimit}; }, timed,
       "headers_timeout (40 ms)", kLimit},
      {"redirects, whole time", "/redirect/1000000", total, timed, "total_timeout (40 ms)", kLimit},
      {"silent body", "/bytes/100000?stall_after=50000", idle, timed, "idle_timeout (40 ms)",
       kLimit},
      {"silent before its first byte", "/bytes/100000?chunked=1&stall_after=0", idle, timed,
       "idle_timeout (40 ms)", kLimit},
      {"headers are not for bodies", "/bytes/100000?stall_after=50000",
       [] { return RequestInit{.headers_timeout = 10s, .idle_timeout = kLimit}; }, timed,
       "idle_timeout (40 ms)", kLimit},
      {"silent behind a redirect", "/redirect/1?to=/bytes/100000%3Fstall_after%3D50000", idle,
       timed, "idle_timeout (40 ms)", kLimit},
      {"silent encoded body", "/bytes/100000?encode=gzip&flush=1000&stall_after=3000", idle, timed,
       "idle_timeout (40 ms)", kLimit},
      {"both ways slower", "/echo?rate=1",
       [] { return RequestInit{.body = text(3'000'000), .idle_timeout = kLimit}; }, timed,
       "idle_timeout (40 ms)", kLimit},
      {"slow body, whole time", "/bytes/100000000?rate=20000", total, timed,
       "total_timeout (40 ms)", kLimit},
      {"paused, whole time", "/bytes/100000000", total, timed, "total_timeout (40 ms)", kLimit,
       false},
      {"paused, unread", "/bytes/100000000", [] { return RequestInit{.consumer_timeout = kLimit}; },
       errc::consumer_stalled, "consumer_timeout (40 ms)", kLimit, false, 256 * 1024},
  };
}

template <class T>
Response fetch(T& transport, const Row& row, Driven driven) {
  const std::string url = transport.url(row.path);
  if (driven == Driven::by_caller) return transport.client().fetch(url, row.init());
  auto pending = transport.client().async_fetch(url, row.init());
  return pending.get();
}

/// Reads what there is, once it is over if `row` says so; the failure goes on.
template <class T>
void consume(T& transport, const Row& row, Response response, std::uint64_t active,
             std::uint64_t& bytes) {
  if (!row.reads) {
    REQUIRE(eventually([&] { return transport.client().stats().active == active; }));
  }
  Reader reader = response.body.reader();
  while (const auto chunk = reader.read()) bytes += chunk->size();
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("Timeouts: each ends its own phase, in full, and says which it was", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    for (const Driven driven : {Driven::by_caller, Driven::by_io_thread, Driven::among_others}) {
      std::optional<PendingResponse> other;
      if (driven == Driven::among_others) {
        other.emplace(transport.client().async_fetch(transport.url("/hang")));
      }
      for (const Row& row : rows()) {
        CAPTURE(row.name);
        CAPTURE(static_cast<int>(driven));
        std::uint64_t bytes = 0;
        const auto begun = std::chrono::steady_clock::now();
        const auto error = error_of(
            [&] { consume(transport, row, fetch(transport, row, driven), other ? 1 : 0, bytes); });
        const auto took = std::chrono::steady_clock::now() - begun;
        REQUIRE(error);
        CHECK(error->code() == row.code);
        CHECK(error->detail() == row.detail);
        CHECK(bytes >= row.at_least);
        CHECK(took >= row.limit);
        CHECK((error->code() == std::errc::timed_out) == (row.code == errc::timed_out));
      }
    }
    CHECK(eventually([&] { return transport.client().stats().active == 0; }));
    CHECK(balanced(transport.client().stats()));
    CHECK(transport.client().stats().queue_memory == 0);
  }

  TEST_CASE_TEMPLATE("Timeouts: of zero never come, whatever the phase", T, WEIR_TRANSPORTS) {
    T transport({.connect_timeout = 0ms});
    const auto none = [](Body body = {}) {
      return RequestInit{.body = std::move(body), .headers_timeout = 0ms, .idle_timeout = 0ms};
    };
    CHECK(transport.client().fetch(transport.url("/bytes/100000"), none()).bytes().size() ==
          100'000);
    CHECK(transport.client().fetch(transport.url("/echo"), none(text(100'000))).text() ==
          text(100'000));
    Response paused = transport.client().fetch(transport.url("/bytes/20000000"), none());
    REQUIRE(transport.wait_until_blocked());
    CHECK(paused.bytes().size() == 20'000'000);
  }

  TEST_CASE_TEMPLATE("Timeouts: one that is negative is invalid_argument", T, WEIR_TRANSPORTS) {
    T transport;
    const auto code = [&](RequestInit init) {
      return code_of([&] { transport.client().fetch(transport.url("/bytes/1"), std::move(init)); });
    };
    CHECK(code({.headers_timeout = -1ms}) == errc::invalid_argument);
    CHECK(code({.idle_timeout = -1ms}) == errc::invalid_argument);
    CHECK(code({.total_timeout = milliseconds::min()}) == errc::invalid_argument);
    CHECK(code({.consumer_timeout = -1ms}) == errc::invalid_argument);
    CHECK(code_of([] { Client client({.connect_timeout = -1ms}); }) == errc::invalid_argument);
    CHECK(code_of([] { Client client({.keep_alive = -1ms}); }) == errc::invalid_argument);
  }

  TEST_CASE("Timeouts: the longest that options can hold are as good as none") {
    Http1 transport({.keep_alive = milliseconds::max(), .connect_timeout = milliseconds::max()});
    CHECK(transport.client().fetch(transport.url("/bytes/1000")).bytes().size() == 1'000);
    CHECK(transport.client().fetch(transport.url("/bytes/1000")).bytes().size() == 1'000);
    CHECK(transport.client().stats().connections_opened == 1);
  }

  TEST_CASE("Timeouts: connect_timeout is for TCP and TLS, of a body's request too, in full") {
    const SilentPort unanswered;
    const Listener mute;
    const auto url = [&](bool tls) { return tls ? mute.url("/", "https") : unanswered.url(); };
    Client client({.connect_timeout = 60ms});
    for (const bool tls : {false, true}) {
      CAPTURE(tls);
      for (const bool post : {false, true}) {
        CAPTURE(post);
        for (const bool lone : {true, false}) {
          CAPTURE(lone);
          const auto init = [&] { return RequestInit{.body = post ? Body("hello") : Body()}; };
          const auto begun = std::chrono::steady_clock::now();
          const auto error = error_of([&] {
            if (lone) return static_cast<void>(client.fetch(url(tls), init()));
            auto pending = client.async_fetch(url(tls), init());
            pending.get();
          });
          REQUIRE(error);
          CHECK(std::chrono::steady_clock::now() - begun >= 60ms);
          CHECK(error->code() == errc::timed_out);
          CHECK(error->detail() == "connect_timeout (60 ms)");
          CHECK(error->retryable());
        }
      }
      // The nearer of two is the one.
      const auto hasty =
          error_of([&] { client.fetch(url(tls), {.body = "x", .headers_timeout = 20ms}); });
      REQUIRE(hasty);
      CHECK(hasty->detail() == "headers_timeout (20 ms)");
    }
    CHECK(eventually([&] { return client.stats().connections_open == 0; }));
  }
}
