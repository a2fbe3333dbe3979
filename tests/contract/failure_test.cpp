#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "contract/transports.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// Every form of reading throws the same.
void check_all_forms(Reader& reader, errc code, std::string_view detail = "") {
  std::array<std::byte, 8> out{};
  const auto check = [&](const std::optional<Error>& error) {
    REQUIRE(error);
    CHECK(error->code() == code);
    CHECK(contains(error->detail(), detail));
  };
  for (int again = 0; again < 2; ++again) {
    check(error_of([&] { reader.read(); }));
    check(error_of([&] { reader.try_read(); }));
    check(error_of([&] { reader.read_some(out); }));
    check(error_of([&] { reader.read_exactly(out); }));
    check(error_of([&] { reader.begin(); }));
  }
}

/// Takes `time` at least, by waiting for other exchanges to time out.
template <class T>
void let_time_pass(T& transport, milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  for (auto left = time; left > 0ms;
       left = std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now())) {
    const auto error = error_of(
        [&] { transport.client().fetch(transport.url("/hang"), {.headers_timeout = left}); });
    REQUIRE(error);
    REQUIRE(error->code() == errc::timed_out);
  }
}

/// A port that refuses connections as long as this lives.
class RefusingPort {
 public:
  RefusingPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(socket_, any, size) == 0);
    REQUIRE(::getsockname(socket_, any, &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  RefusingPort(const RefusingPort&) = delete;
  RefusingPort& operator=(const RefusingPort&) = delete;
  ~RefusingPort() { ::close(socket_); }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/"; }

 private:
  int socket_;
  int port_ = 0;
};

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("Body: one that is cut is truncated after its good bytes", T,
                     WEIR_TRANSPORTS) {
    T transport;
    for (const auto framing : {"", "&chunked=1"}) {
      CAPTURE(framing);
      for (const std::uint64_t cut : {0U, 1U, 16'384U, 50'000U, 99'999U}) {
        CAPTURE(cut);
        const auto url =
            transport.url("/bytes/100000?seed=5&cut_after=" + std::to_string(cut) + framing);
        Response response = transport.client().fetch(url);
        Reader reader = response.body.reader();
        const Seen seen = read_all(reader, 5);
        CHECK(seen.bytes == cut);
        CHECK(!seen.wrong);
        CHECK(seen.code() == errc::truncated);
        REQUIRE(seen.error);
        CHECK(seen.error->bytes_received() == cut);
        CHECK(seen.error->status() == 200);
        CHECK(seen.error->url() == url);
        CHECK(!seen.error->retryable());
        check_all_forms(reader, errc::truncated);
      }
    }
  }

  TEST_CASE_TEMPLATE("Body: one that is cut while paused loses nothing that came before", T,
                     WEIR_TRANSPORTS) {
    T transport;
    constexpr std::uint64_t kCut = 24'000'000;
    Response response =
        transport.client().fetch(transport.url("/bytes/50000000?cut_after=24000000"));
    REQUIRE(transport.wait_until_blocked());
    const Seen seen = read_all(response);
    CHECK(seen.bytes == kCut);
    CHECK(!seen.wrong);
    CHECK(seen.code() == errc::truncated);
  }

  TEST_CASE_TEMPLATE("Body: text() of one that is cut throws, and is used then", T,
                     WEIR_TRANSPORTS) {
    T transport;
    Response response = transport.client().fetch(transport.url("/bytes/9000?cut_after=3000"));
    CHECK(code_of([&] { response.text(); }) == errc::truncated);
    CHECK(code_of([&] { response.text(); }) == errc::body_used);
    CHECK(response.body.stats().received == 3000);
  }

  TEST_CASE_TEMPLATE("fetch: closed before the headers is connection_lost", T, WEIR_TRANSPORTS) {
    T transport;
    for (const auto query : {"?before=headers&how=fin", "?before=headers&how=rst"}) {
      CAPTURE(query);
      const auto url = transport.url(std::string("/close") + query);
      const auto error = error_of([&] { transport.client().fetch(url); });
      REQUIRE(error);
      CHECK(error->code() == errc::connection_lost);
      CHECK(error->url() == url);
      CHECK(error->status() == 0);
      CHECK(error->bytes_received() == 0);
    }
    CHECK(transport.client().fetch(transport.url("/status/200")).ok());
  }

  TEST_CASE_TEMPLATE("fetch: closed inside the headers is connection_lost", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    for (const auto query : {"?before=blank_line&how=fin", "?before=blank_line&how=rst"}) {
      CAPTURE(query);
      const auto url = transport.url(std::string("/close") + query);
      CHECK(code_of([&] { transport.client().fetch(url); }) == errc::connection_lost);
    }
  }

  TEST_CASE_TEMPLATE("Body: a reset is truncated, and no byte is wrong", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    Response response = transport.client().fetch(transport.url("/bytes/100000?rst_after=50000"));
    const Seen seen = read_all(response);
    CHECK(seen.bytes <= 50'000);  // the kernel drops what it had not delivered
    CHECK(!seen.wrong);
    CHECK(seen.code() == errc::truncated);
  }

  TEST_CASE_TEMPLATE("fetch: what is not HTTP is a protocol_error", T, Http1, Https1) {
    T transport;
    const auto raw = [&](const std::string& text) {
      return code_of([&] { transport.client().fetch(transport.url("/raw?text=" + text)).bytes(); });
    };
    CHECK(raw("nonsense%0D%0A%0D%0A") == errc::protocol_error);
    CHECK(raw("HTTP/1.1%20200%20OK%0D%0ATransfer-Encoding:%20chunked%0D%0A%0D%0A"
              "3%0D%0Aabc%0D%0Azz%0D%0A") == errc::protocol_error);
    CHECK(raw("HTTP/1.1%20200%20OK%0D%0AContent-Length:%201%0D%0AContent-Length:%202%0D%0A%0D%0A"
              "ab") == errc::protocol_error);
  }

  TEST_CASE_TEMPLATE("Body: more bytes than Content-Length end cleanly and close the connection", T,
                     Http1, Https1) {
    T transport;
    CHECK(transport.client()
              .fetch(transport.url(
                  "/raw?text=HTTP/1.1%20200%20OK%0D%0AContent-Length:%203%0D%0A%0D%0Aabcdef"))
              .text() == "abc");
    CHECK(transport.client().fetch(transport.url("/status/200")).ok());
    CHECK(transport.client().stats().connections_opened == 2);
  }

  TEST_CASE_TEMPLATE("fetch: a server that never answers runs into headers_timeout", T,
                     WEIR_TRANSPORTS) {
    T transport;
    for (const auto method : {"GET", "POST"}) {
      const bool post = std::string_view(method) == "POST";
      const auto error = error_of([&] {
        transport.client().fetch(
            transport.url("/hang"),
            {.method = method, .body = post ? Body("hello") : Body(), .headers_timeout = 50ms});
      });
      REQUIRE(error);
      CHECK(error->code() == errc::timed_out);
      CHECK(error->code() == std::errc::timed_out);
      CHECK(contains(error->detail(), "headers_timeout"));
      CHECK(error->url() == transport.url("/hang"));
    }
    CHECK(transport.wait_until_quiet());
  }

  TEST_CASE_TEMPLATE("fetch: a server that drips headers runs into headers_timeout", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    const auto error = error_of([&] {
      transport.client().fetch(transport.url("/drip_headers?ms=10"), {.headers_timeout = 100ms});
    });
    REQUIRE(error);
    CHECK(error->code() == errc::timed_out);
    CHECK(contains(error->detail(), "headers_timeout"));
  }

  TEST_CASE_TEMPLATE("Body: a server that stalls runs into idle_timeout after the good bytes", T,
                     WEIR_TRANSPORTS) {
    T transport;
    Response response = transport.client().fetch(transport.url("/bytes/100000?stall_after=50000"),
                                                 {.idle_timeout = 100ms});
    Reader reader = response.body.reader();
    const Seen seen = read_all(reader);
    CHECK(seen.bytes == 50'000);
    CHECK(!seen.wrong);
    CHECK(seen.code() == errc::timed_out);
    check_all_forms(reader, errc::timed_out, "idle_timeout");
    CHECK(transport.wait_until_quiet());
  }

  TEST_CASE_TEMPLATE("Body: idle_timeout does not run while nobody reads", T, WEIR_TRANSPORTS) {
    T transport;
    constexpr std::uint64_t kSize = 20'000'000;
    Response response =
        transport.client().fetch(transport.url("/bytes/20000000?seed=2"), {.idle_timeout = 100ms});
    REQUIRE(transport.wait_until_blocked());
    let_time_pass(transport, 400ms);
    CHECK(response.body.stats().paused);
    Reader reader = response.body.reader();
    Seen seen;
    const auto first = reader.read();
    REQUIRE(first);
    seen.bytes = first->size();
    CHECK(!harness::pattern::check(2, 0, first->bytes()));
    // That read resumes the body, which pauses again when it has filled its queue.
    const auto paused_again = [&] { return reader.stats().resumes > 0 && reader.stats().paused; };
    for (int looks = 0; looks < 1000 && !paused_again(); ++looks) let_time_pass(transport, 10ms);
    REQUIRE(paused_again());
    let_time_pass(transport, 400ms);
    CHECK(read_on(reader, 2, seen) == kSize);
    CHECK(reader.stats().paused_for >= 800ms);
  }

  TEST_CASE_TEMPLATE("Body: one that nobody reads runs into consumer_timeout", T, WEIR_TRANSPORTS) {
    T transport;
    Response response =
        transport.client().fetch(transport.url("/bytes/100000000"), {.consumer_timeout = 100ms});
    REQUIRE(eventually([&] { return transport.client().stats().active == 0; }));
    Reader reader = response.body.reader();
    const Seen seen = read_all(reader);
    CHECK(seen.bytes >= 256 * 1024);
    CHECK(seen.bytes <= (256 + 16) * 1024);
    CHECK(!seen.wrong);
    CHECK(seen.code() == errc::consumer_stalled);
    check_all_forms(reader, errc::consumer_stalled, "consumer_timeout");
    CHECK(transport.wait_until_quiet());
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("fetch: total_timeout ends it in every phase", T, WEIR_TRANSPORTS) {
    T transport;
    SUBCASE("before the headers") {
      const auto error = error_of(
          [&] { transport.client().fetch(transport.url("/hang"), {.total_timeout = 50ms}); });
      REQUIRE(error);
      CHECK(error->code() == errc::timed_out);
      CHECK(contains(error->detail(), "total_timeout"));
    }
    SUBCASE("while the server stalls") {
      Response response = transport.client().fetch(transport.url("/bytes/9000?stall_after=5000"),
                                                   {.total_timeout = 200ms});
      Reader reader = response.body.reader();
      CHECK(read_all(reader).bytes == 5'000);
      check_all_forms(reader, errc::timed_out, "total_timeout");
    }
    SUBCASE("while nobody reads") {
      Response response =
          transport.client().fetch(transport.url("/bytes/100000000"), {.total_timeout = 300ms});
      REQUIRE(eventually([&] { return transport.client().stats().active == 0; }));
      Reader reader = response.body.reader();
      CHECK(read_all(reader).bytes >= 256 * 1024);
      check_all_forms(reader, errc::timed_out, "total_timeout");
    }
    CHECK(transport.wait_until_quiet());
  }

  TEST_CASE_TEMPLATE("fetch: the longest timeouts are as good as none", T, WEIR_TRANSPORTS) {
    T transport;
    constexpr auto kLong = milliseconds::max();
    Response response =
        transport.client().fetch(transport.url("/bytes/1000000"), {.headers_timeout = kLong,
                                                                   .idle_timeout = kLong,
                                                                   .total_timeout = kLong,
                                                                   .consumer_timeout = kLong});
    CHECK(read_all(response) == 1'000'000);
    Response other = transport.client().fetch(
        transport.url("/bytes/1000000"),
        {.headers_timeout = 0ms, .idle_timeout = 0ms, .total_timeout = 0ms});
    CHECK(read_all(other) == 1'000'000);
  }

  TEST_CASE_TEMPLATE("fetch: a header block beyond the limits is too_large", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport({.max_header_bytes = 10'000, .max_header_fields = 50});
    const auto fetch = [&](const char* path) {
      return error_of([&] { transport.client().fetch(transport.url(path)); });
    };
    const auto many = fetch("/headers?count=100&size=10");
    REQUIRE(many);
    CHECK(many->code() == errc::too_large);
    CHECK(contains(many->detail(), "max_header_fields"));
    const auto large = fetch("/headers?count=10&size=5000");
    REQUIRE(large);
    CHECK(large->code() == errc::too_large);
    CHECK(contains(large->detail(), "max_header_bytes"));
    CHECK(transport.client().fetch(transport.url("/headers?count=20&size=100")).ok());
  }

  TEST_CASE("fetch: a refused connection is connect_failed, and may be tried again") {
    const RefusingPort port;
    Client client;
    const auto error = error_of([&] { client.fetch(port.url()); });
    REQUIRE(error);
    CHECK(error->code() == errc::connect_failed);
    CHECK(error->retryable());
    CHECK(error->url() == port.url());
  }

  TEST_CASE("fetch: an unknown authority is tls_failed, unless verify is off") {
    Https1 transport;
    Client strict;
    const auto url = transport.url("/status/200");
    CHECK(code_of([&] { strict.fetch(url); }) == errc::tls_failed);
    Client lenient({.tls = {.verify = false}});
    CHECK(lenient.fetch(url).ok());
  }
}
