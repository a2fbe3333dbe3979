#include "api/request_check.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "api/scripted_stream.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

constexpr const char* kUrl = "http://localhost/";

net::Request made(RequestInit init, const ClientOptions& options = {}) {
  return detail::make_request(kUrl, init, detail::check_options(options));
}

std::optional<errc> refusal(RequestInit init) {
  return code_of([&] { made(std::move(init)); });
}

std::optional<errc> options_refusal(const ClientOptions& options) {
  return code_of([&] { detail::check_options(options); });
}

std::string detail_of(RequestInit init) {
  try {
    made(std::move(init));
  } catch (const Error& error) {
    return error.detail();
  }
  return "";
}

Body network_body() { return Body(std::make_unique<ScriptedStream>(std::vector<std::string>{})); }

Body used_body() {
  Body body("x");
  body.text();
  return body;
}

RequestInit raw() { return {.decode = false}; }

Headers field(const char* name, const char* value = "1") { return {{name, value}}; }

}  // namespace

TEST_SUITE("api") {
  TEST_CASE("Request: the method is GET, POST with a body, or as written") {
    CHECK(made({}).method == "GET");
    CHECK(made({.body = "x"}).method == "POST");
    CHECK(made({.body = ""}).method == "POST");
    for (const auto method : {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE",
                              "get", "PROPFIND", "M-SEARCH", "!#$%&'*+-.^_`|~"}) {
      CHECK(made({.method = method}).method == method);
    }
  }

  TEST_CASE("Request: a method that is not a token, or makes a tunnel, is refused") {
    for (const auto method : {"G T", " GET", "GET ", "GET\r\nX: 1", "G\tT", "G(T", "G\xC3\xA9T",
                              "a/b", "a:b", "CONNECT"}) {
      CAPTURE(method);
      CHECK(refusal({.method = method}) == errc::invalid_argument);
    }
    CHECK(refusal({.method = std::string("G\0T", 3)}) == errc::invalid_argument);
  }

  TEST_CASE("Request: GET, HEAD and TRACE have no body") {
    for (const auto method : {"GET", "HEAD", "TRACE"}) {
      CAPTURE(method);
      CHECK(refusal({.method = method, .body = "x"}) == errc::invalid_argument);
      CHECK(refusal({.method = method, .body = ""}) == errc::invalid_argument);
      CHECK(refusal({.method = method}) == std::nullopt);
    }
    for (const auto method : {"PUT", "DELETE", "OPTIONS", "PATCH", "get"}) {
      CHECK(refusal({.method = method, .body = "x"}) == std::nullopt);
    }
  }

  TEST_CASE("Request: asks for the codings that are decoded, unless the fields say otherwise") {
    const auto asked = [](RequestInit init, const ClientOptions& options = {}) {
      return made(std::move(init), options).headers.get("accept-encoding");
    };
    CHECK(asked({}) == "gzip, deflate, br, zstd");
    CHECK(made({}).decode);
    CHECK(asked({.decode = false}) == std::nullopt);
    CHECK(!made({.decode = false}).decode);
    CHECK(asked({.headers = field("accept-encoding", "br")}) == "br");
    CHECK(asked({.headers = field("accept-encoding", "")}) == "");
    CHECK(asked({.headers = field("Accept-Encoding", "br"), .decode = false}) == "br");
    CHECK(asked({}, {.headers = field("Accept-Encoding", "zstd")}) == "zstd");
    CHECK(asked({.headers = field("Range", "bytes=0-9")}) == "identity");
    CHECK(asked({.headers = field("Range", "bytes=0-9"), .decode = false}) == std::nullopt);
  }

  TEST_CASE("Request: the URL is absolute, http or https, and kept as given") {
    const auto defaults = detail::check_options({});
    const auto code = [&](std::string_view url) {
      std::string kept(url);
      const auto refused = code_of([&] {
        RequestInit init;
        kept = detail::make_request(url, init, defaults).url;
      });
      CHECK(kept == url);
      return refused;
    };
    for (const auto url :
         {"http://localhost", "https://user:word@[::1]:8443/a?b#c", "HTTP://LOCALHOST/%20"}) {
      CAPTURE(url);
      CHECK(code(url) == std::nullopt);
    }
    for (const auto url : {"", "localhost", "/path", "//localhost/", "ftp://localhost/",
                           "file:///etc/passwd", "http://", "http://a:99999/", "http://a b/",
                           "javascript:alert(1)", "http://local\nhost/"}) {
      CAPTURE(url);
      CHECK(code(url) == errc::invalid_argument);
    }
    CHECK(code(std::string_view("http://localhost/\0x", 19)) == errc::invalid_argument);
  }

  TEST_CASE("Request: the fields that frame messages are refused, in any case") {
    for (const auto name : {"Content-Length", "content-length", "TRANSFER-ENCODING", "Connection",
                            "te", "TE", "Upgrade"}) {
      CAPTURE(name);
      CHECK(refusal({.headers = field(name)}) == errc::invalid_argument);
      CHECK(options_refusal({.headers = field(name)}) == errc::invalid_argument);
    }
    for (const auto name : {"Host", "Expect", "Content-Type", "Trailer", "Keep-Alive", "Cookie",
                            "Authorization", "Content-Length-Of-It"}) {
      CAPTURE(name);
      CHECK(refusal({.headers = field(name)}) == std::nullopt);
    }
  }

  TEST_CASE("Request: its fields replace the client's of the same name, and keep their order") {
    const ClientOptions options{.user_agent = "ua",
                                .headers = {{"A", "1"}, {"B", "2"}, {"A", "3"}, {"C", "4"}}};
    const auto merged = made(
        {.headers = {{"X", "5"}, {"a", "6"}, {"X", "7"}, {"a", "8"}}, .decode = false}, options);
    const Headers expected = {{"B", "2"}, {"C", "4"}, {"User-Agent", "ua"}, {"X", "5"}, {"a", "6"},
                              {"X", "7"}, {"a", "8"}};
    CHECK(merged.headers == expected);
  }

  TEST_CASE("Request: the User-Agent is the request's, else the client's field, else its name") {
    CHECK(made(raw()).headers == Headers{{"User-Agent", "weir/0.1"}});
    CHECK(made(raw(), {.user_agent = "x"}).headers == Headers{{"User-Agent", "x"}});
    CHECK(made(raw(), {.user_agent = ""}).headers.empty());
    CHECK(made(raw(), {.headers = field("user-agent", "y")}).headers == field("user-agent", "y"));
    CHECK(made({.headers = field("USER-AGENT", ""), .decode = false}).headers ==
          field("USER-AGENT", ""));
  }

  TEST_CASE("Request: takes text and bytes as its body, NUL and nothing included") {
    CHECK(!made({}).has_body);
    const auto empty = made({.body = ""});
    CHECK(empty.has_body);
    CHECK(empty.body.empty());
    const std::string text("a\0b", 3);
    CHECK(made({.body = text}).body == text);
    CHECK(made({.body = std::vector<std::byte>(2, std::byte{0xFF})}).body == "\xFF\xFF");
  }

  TEST_CASE("Request: a body that is used, cancelled or streamed is refused") {
    CHECK(refusal({.body = used_body()}) == errc::body_used);
    Body from("x");
    const Body to = std::move(from);
    CHECK(refusal({.body = std::move(from)}) == errc::body_used);  // NOLINT: that is the point
    Body cancelled("x");
    cancelled.cancel();
    CHECK(refusal({.body = std::move(cancelled)}) == errc::aborted);
    CHECK(refusal({.body = network_body()}) == errc::unsupported);
    CHECK(detail_of({.body = network_body()}).find("streamed request bodies") != std::string::npos);
  }

  TEST_CASE("Request: a negative timeout is refused by name, and a vast one is cut") {
    CHECK(detail_of({.headers_timeout = -1ms}).find("headers_timeout") != std::string::npos);
    CHECK(detail_of({.idle_timeout = -1ms}).find("idle_timeout") != std::string::npos);
    CHECK(detail_of({.total_timeout = -1ms}).find("total_timeout") != std::string::npos);
    CHECK(detail_of({.consumer_timeout = -1ms}).find("consumer_timeout") != std::string::npos);
    CHECK(refusal({.headers_timeout = milliseconds::min()}) == errc::invalid_argument);

    const auto plain = made({.headers_timeout = 1ms,
                             .idle_timeout = 2ms,
                             .total_timeout = 3ms,
                             .consumer_timeout = 4ms});
    CHECK(plain.headers_timeout == 1ms);
    CHECK(plain.idle_timeout == 2ms);
    CHECK(plain.total_timeout == 3ms);
    CHECK(plain.consumer_timeout == 4ms);
    CHECK(made({.idle_timeout = 0ms}).idle_timeout == 0ms);
    const auto vast = made({.total_timeout = milliseconds::max()}).total_timeout;
    CHECK(vast >= std::chrono::hours(24 * 365));
    CHECK(std::chrono::steady_clock::now() + vast > std::chrono::steady_clock::now());
  }

  TEST_CASE("Request: its version wins over the client's, and HTTP/3 is unsupported for now") {
    CHECK(made({}).version == HttpVersion::automatic);
    for (const auto version :
         {HttpVersion::http1, HttpVersion::http2, HttpVersion::http2_prior_knowledge}) {
      CHECK(made({.version = version}).version == version);
      CHECK(made({}, {.version = version}).version == version);
      CHECK(made({.version = HttpVersion::http1}, {.version = version}).version ==
            HttpVersion::http1);
    }
    for (const auto version : {HttpVersion::http3, HttpVersion::http3_only}) {
      CHECK(refusal({.version = version}) == errc::unsupported);
      CHECK(options_refusal({.version = version}) == errc::unsupported);
    }
  }

  TEST_CASE("Request: a stop request that came first aborts what is valid") {
    std::stop_source stop;
    CHECK(refusal({.stop = stop.get_token()}) == std::nullopt);
    stop.request_stop();
    CHECK(refusal({.stop = stop.get_token()}) == errc::aborted);
    CHECK(refusal({.method = "?", .stop = stop.get_token()}) == errc::invalid_argument);
  }

  TEST_CASE("Request: the marks are the request's, else the client's") {
    const auto marks = [](const ClientOptions& options, std::size_t high, std::size_t low) {
      const RequestInit init{.high_water = high, .low_water = low};
      const auto made = detail::make_marks(init, detail::check_options(options));
      return std::vector<std::size_t>{made.high, made.low, made.unread_high};
    };
    using Marks = std::vector<std::size_t>;
    CHECK(marks({}, 0, 0) == Marks{4 << 20, 1 << 20, 256 << 10});
    CHECK(marks({}, 1'000, 0) == Marks{1'000, 250, 1'000});
    CHECK(marks({}, 1'000, 999) == Marks{1'000, 999, 1'000});
    CHECK(marks({}, 0, 5) == Marks{4 << 20, 5, 256 << 10});
    CHECK(marks({.high_water = 65'536}, 0, 0) == Marks{65'536, 16'384, 65'536});
    CHECK(marks({.high_water = 1}, 0, 0) == Marks{1, 1, 1});
    CHECK(marks({.high_water = 100, .low_water = 50, .unread_high_water = 10}, 0, 0) ==
          Marks{100, 50, 10});
    CHECK(code_of([&] { marks({}, 10, 10); }) == errc::invalid_argument);
    CHECK(code_of([&] { marks({}, 10, 11); }) == errc::invalid_argument);
    CHECK(code_of([&] { marks({}, 0, 4 << 20); }) == errc::invalid_argument);
  }

  TEST_CASE("Client options: what contradicts itself is refused") {
    CHECK(options_refusal({}) == std::nullopt);
    CHECK(options_refusal({.high_water = 0}) == errc::invalid_argument);
    CHECK(options_refusal({.low_water = 0}) == errc::invalid_argument);
    CHECK(options_refusal({.high_water = 10, .low_water = 10}) == errc::invalid_argument);
    CHECK(options_refusal({.high_water = 10, .low_water = 11}) == errc::invalid_argument);
    CHECK(options_refusal({.high_water = 10, .low_water = 9}) == std::nullopt);
    CHECK(options_refusal({.unread_high_water = 0}) == errc::invalid_argument);
    CHECK(options_refusal({.memory_budget = 0}) == errc::invalid_argument);
    CHECK(options_refusal({.max_idle_connections = -1}) == errc::invalid_argument);
    CHECK(options_refusal({.max_idle_connections = 0}) == std::nullopt);
    CHECK(options_refusal({.max_connections = -1}) == errc::invalid_argument);
    CHECK(options_refusal({.max_connections_per_host = -1}) == errc::invalid_argument);
    CHECK(options_refusal({.keep_alive = -1ms}) == errc::invalid_argument);
    CHECK(options_refusal({.connect_timeout = -1ms}) == errc::invalid_argument);
    CHECK(options_refusal({.max_header_bytes = 0}) == errc::invalid_argument);
    CHECK(options_refusal({.max_header_fields = 0}) == errc::invalid_argument);
    CHECK(options_refusal({.max_header_fields = -1}) == errc::invalid_argument);
    CHECK(options_refusal({.user_agent = "a\r\nX: 1"}) == errc::invalid_argument);
  }
}
