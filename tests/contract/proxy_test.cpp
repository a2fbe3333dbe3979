#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "contract/transports.hpp"
#include "support/certificates.hpp"
#include "support/listener.hpp"
#include "support/proxy_peer.hpp"
#include "support/tls_peer.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// A variable of the environment that is gone afterwards. No client may be at work.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    ::setenv(name, value.c_str(), 1);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

/// How many of those were asked for with these words in front.
std::size_t count(const ProxyPeer& proxy, std::string_view words) {
  const auto asked = proxy.asked();
  return static_cast<std::size_t>(
      std::count_if(asked.begin(), asked.end(),
                    [&](const std::string& head) { return head.starts_with(words); }));
}

/// A proxy, and what it may be asked for.
template <class Loopback>
struct Through {
  explicit Through(ProxyManners manners = {}, const char* scheme = "http",
                   const std::string& userinfo = "")
      : proxy(std::move(manners)), transport(options(scheme, userinfo)) {}

  ClientOptions options(const char* scheme, const std::string& userinfo) const {
    ClientOptions options;
    options.proxy = proxy.url(scheme, userinfo);
    return options;
  }
  Response fetch(std::string_view path, RequestInit init = {}) {
    return transport.client().fetch(transport.url(path), std::move(init));
  }
  std::optional<Error> failure(std::string_view path = "/status/200") {
    return error_of([&] { fetch(path); });
  }

  ProxyPeer proxy;
  Loopback transport;
};

void check_refused(const std::optional<Error>& error) {
  REQUIRE(error);
  CAPTURE(error->what());
  CHECK(error->code() == errc::connect_failed);
  CHECK(error->detail().starts_with("proxy"));
  CHECK(error->status() == 0);
}

const std::string kSecret = "s3cr%40t";  // as it is in a URL
const std::string kUserinfo = "us%3Aer:" + kSecret + "@";
const std::string kCredentials = "us:er:s3cr@t";

bool shows_secret(const Error& error) {
  return contains(error.what(), "s3cr") || contains(error.detail(), "s3cr") ||
         contains(error.url(), "s3cr");
}

}  // namespace

TEST_SUITE_BEGIN("contract");

TEST_CASE("Proxy: plain http is asked for in absolute form, and the connection is reused") {
  Through<Http1> through;
  for (int i = 0; i < 3; ++i) {
    Response response = through.fetch("/bytes/100000?seed=4");
    CHECK(response.status == 200);
    CHECK(read_all(response, 4) == 100'000);
  }
  REQUIRE(through.proxy.asked().size() == 1);
  CHECK(through.proxy.asked()[0].starts_with("GET " + through.transport.url("/bytes/100000")));
  CHECK(through.transport.client().stats().connections_opened == 1);
}

TEST_CASE_TEMPLATE("Proxy: https goes through a tunnel, whose response nobody sees", T, Https1,
                   Http2) {
  std::vector<TraceEvent> events;
  std::mutex mutex;
  ProxyPeer proxy;
  ClientOptions options;
  options.proxy = proxy.url();
  options.headers = {{"X-Secret", "for the server"}};
  options.trace = [&](const TraceEvent& event) {
    const std::lock_guard lock(mutex);
    events.push_back(event);
  };
  std::optional<T> transport(std::in_place, std::move(options));
  for (int i = 0; i < 2; ++i) {
    Response response = transport->client().fetch(transport->url("/bytes/100000?seed=4"));
    CHECK(response.status == 200);
    CHECK(response.version == T::kVersion);
    CHECK_FALSE(response.headers.has("X-Proxy"));
    CHECK(read_all(response, 4) == 100'000);
  }
  CHECK(transport->client().stats().connections_opened == 1);
  CHECK(transport->wait_until_quiet(1));
  transport.reset();
  REQUIRE(proxy.asked().size() == 1);
  CHECK(proxy.asked()[0].starts_with("CONNECT 127.0.0.1:"));
  CHECK_FALSE(contains(proxy.asked()[0], "X-Secret"));
  std::size_t responses = 0;
  for (const TraceEvent& event : events) {
    responses += event.kind == TraceKind::response ? 1U : 0U;
    CHECK(event.kind != TraceKind::interim);
  }
  CHECK(responses == 2);
}

TEST_CASE("Proxy: SOCKS5 takes http and https, by name or by address") {
  const auto asked = [](auto transport_of, const char* scheme, const ProxyManners& manners = {},
                        const std::string& userinfo = "") {
    ProxyPeer proxy(manners);
    ClientOptions options;
    options.proxy = proxy.url(scheme, userinfo);
    auto transport = transport_of(options);
    std::string url = transport->url("/bytes/100000?seed=4");
    url.replace(url.find("127.0.0.1"), 9, "localhost");
    Response response = transport->client().fetch(url);
    CHECK(read_all(response, 4) == 100'000);
    const auto all = proxy.asked();
    return all.size() == 1 ? all.front() : std::string("not once");
  };
  const auto plain = [](const ClientOptions& options) { return std::make_unique<Http1>(options); };
  const auto tls = [](const ClientOptions& options) { return std::make_unique<Https1>(options); };
  CHECK(asked(plain, "socks5") == "socks address");
  CHECK(asked(plain, "socks5h") == "socks localhost");
  CHECK(asked(tls, "socks5") == "socks address");
  CHECK(asked(tls, "socks5h") == "socks localhost");
  CHECK(asked(plain, "SOCKS5H", {.credentials = kCredentials}, kUserinfo) == "socks localhost");
}

TEST_CASE("Proxy: credentials go to the proxy, and nowhere else") {
  const ProxyManners manners{.credentials = base64(kCredentials)};
  SUBCASE("plain http") {
    Through<Http1> through(manners, "http", kUserinfo);
    CHECK(through.fetch("/status/200").status == 200);
  }
  SUBCASE("https") {
    Through<Https1> through(manners, "http", kUserinfo);
    const std::string head = through.fetch("/headers_echo").text();
    CHECK_FALSE(contains(head, "Proxy-"));
    CHECK(contains(through.proxy.asked()[0], "Proxy-Authorization: Basic"));
  }
  SUBCASE("wrong ones, plain http: a response like any other") {
    Through<Http1> through(manners, "http", "us:s3cr@");
    Response response = through.fetch("/status/200");
    CHECK(response.status == 407);
    CHECK(response.headers.has("X-Proxy"));
    CHECK(response.text() == "no");
  }
  SUBCASE("wrong ones, https") {
    Through<Https1> through(manners, "http", "us:s3cr@");
    const auto error = through.failure();
    check_refused(error);
    CHECK(contains(error->detail(), "407"));
    CHECK_FALSE(error->retryable());
    CHECK_FALSE(shows_secret(*error));
  }
  SUBCASE("wrong ones, SOCKS5") {
    Through<Https1> through({.credentials = kCredentials}, "socks5h", "us:s3cr@");
    const auto error = through.failure();
    check_refused(error);
    CHECK_FALSE(shows_secret(*error));
  }
}

TEST_CASE("Proxy: one that makes no tunnel is connect_failed, and says proxy") {
  for (const int status : {403, 407, 502, 301}) {
    CAPTURE(status);
    Through<Https1> through({.refuse = status});
    const auto error = through.failure();
    check_refused(error);
    CHECK(contains(error->detail(), std::to_string(status)));
    CHECK(error->url() == through.transport.url("/status/200"));
    CHECK(through.proxy.asked().size() == 1);
  }
  for (const char* scheme : {"http", "socks5", "socks5h"}) {
    CAPTURE(scheme);
    Through<Https1> dies({.vanish = true}, scheme);
    check_refused(dies.failure());
  }
  Through<Http1> refuses({.refuse = 1}, "socks5");
  check_refused(refuses.failure());
}

TEST_CASE("Proxy: one that cannot be reached, or found, is connect_failed, and says proxy") {
  const std::uint16_t nobody = Listener().port();
  Https1 secure;
  Http1 plain;
  for (const std::string& url : {secure.url("/"), plain.url("/")}) {
    for (const char* scheme : {"http", "socks5", "socks5h"}) {
      CAPTURE(scheme);
      const auto error_with = [&](const std::string& host) {
        ClientOptions options;
        options.proxy = std::string(scheme) + "://" + kUserinfo + host;
        return error_of([&] { Client(options).fetch(url); });
      };
      const auto refused = error_with("127.0.0.1:" + std::to_string(nobody));
      check_refused(refused);
      CHECK(refused->retryable());
      CHECK_FALSE(shows_secret(*refused));
      const auto unknown = error_with("proxy.invalid:1080");
      check_refused(unknown);
      CHECK_FALSE(shows_secret(*unknown));
    }
  }
}

TEST_CASE("Proxy: a silent one runs into connect_timeout") {
  const SilentPort silent;
  const Listener mute;
  for (const std::uint16_t port : {silent.port(), mute.port()}) {
    ClientOptions options;
    options.proxy = "http://127.0.0.1:" + std::to_string(port);
    options.connect_timeout = 100ms;
    const auto error = error_of([&] { Client(options).fetch("https://127.0.0.1:1/"); });
    REQUIRE(error);
    CHECK(error->code() == errc::timed_out);
    CHECK(contains(error->detail(), "connect_timeout"));
  }
}

TEST_CASE_TEMPLATE("Proxy: one that dies inside a body leaves it truncated, after the good bytes",
                   T, Http1, Https1) {
  Through<T> through({.cut_after = 200'000});
  Response response = through.fetch("/bytes/1000000?seed=3");
  const Seen seen = read_all(response, 3);
  CHECK(seen.bytes > 100'000);
  CHECK(seen.bytes < 200'000);
  CHECK_FALSE(seen.wrong);
  CHECK(seen.code() == errc::truncated);
}

TEST_CASE_TEMPLATE("Proxy: a body that is not read stops the server behind it", T, Http1, Https1,
                   Http2) {
  constexpr std::uint64_t kSize = 64'000'000;
  Through<T> through;
  Response response = through.fetch("/bytes/64000000?seed=5");
  Reader reader = response.body.reader();
  REQUIRE(reader.read());
  CHECK(through.transport.wait_until_blocked());
  const BodyStats stalled = reader.stats();
  CHECK(stalled.paused);
  CHECK(stalled.queued <= (std::size_t{4} << 20) + 64 * 1024);
  CHECK(through.transport.server().stats().bytes_accepted < kSize);
  while (reader.read()) continue;
  CHECK(reader.stats().drained == kSize);
  CHECK(balanced(through.transport.client().stats()));
}

TEST_CASE("Proxy: TLS to the proxy is verified by the same options") {
  const Chain chain;
  const TlsPeer proxy(chain.server, {.between = &chain.between});
  ClientOptions options;
  options.proxy = "https://127.0.0.1:" + std::to_string(proxy.port());
  if (code_of([&] { const Client client(options); }) == errc::unsupported) {
    MESSAGE("SKIPPED: this libcurl speaks no TLS to proxies");
    return;
  }
  CHECK(code_of([&] { Client(options).fetch("http://server.invalid/x"); }) == errc::tls_failed);
  options.tls.ca_pem = chain.root.pem();
  CHECK(Client(options).fetch("http://server.invalid/x").text() == "secure");
  REQUIRE(proxy.requests().size() == 1);
  CHECK(proxy.requests()[0].starts_with("GET http://server.invalid/x HTTP/1.1\r\n"));
}

TEST_CASE("Proxy: the environment's is used, where nothing is said, except for NO_PROXY's hosts") {
  const ProxyPeer proxy;
  Http1 server;
  const auto status = [&](const ClientOptions& options = {}) {
    return Client(options).fetch(server.url("/status/200")).status;
  };
  SUBCASE("http_proxy") {
    const Variable set("http_proxy", proxy.url());
    CHECK(status() == 200);
    CHECK(proxy.asked().size() == 1);
    SUBCASE("but for no_proxy") {
      const Variable none("no_proxy", "example.org,127.0.0.1");
      CHECK(status() == 200);
      CHECK(proxy.asked().size() == 1);
    }
    SUBCASE("but for NO_PROXY=*") {
      const Variable none("NO_PROXY", "*");
      CHECK(status() == 200);
      CHECK(proxy.asked().size() == 1);
    }
    SUBCASE("but for direct") {
      CHECK(status({.proxy = "direct"}) == 200);
      CHECK(proxy.asked().size() == 1);
    }
  }
  SUBCASE("all_proxy") {
    const Variable set("all_proxy", proxy.url("socks5"));
    CHECK(status() == 200);
    CHECK(proxy.asked() == std::vector<std::string>{"socks address"});
  }
  SUBCASE("the client's goes first, and knows no NO_PROXY") {
    const ProxyPeer own;
    const Variable set("http_proxy", proxy.url());
    const Variable none("no_proxy", "*");
    CHECK(status({.proxy = own.url()}) == 200);
    CHECK(proxy.asked().empty());
    CHECK(own.asked().size() == 1);
  }
}

TEST_CASE("Proxy: what is wrong with the environment's shows no password") {
  Http1 server;
  const std::string nobody = "127.0.0.1:" + std::to_string(Listener().port());
  for (const std::string& url :
       {std::string("http://us:s3cr@host:port/"), std::string("gopher://us:s3cr@host"),
        "http://us:s3cr@" + nobody, std::string("http://us:s3cr@proxy.invalid")}) {
    const Variable set("http_proxy", url);
    const auto error = error_of([&] { Client().fetch(server.url("/")); });
    REQUIRE(error);
    CAPTURE(error->what());
    CHECK(error->code() == errc::connect_failed);
    CHECK(error->detail().starts_with("proxy"));
    CHECK_FALSE(shows_secret(*error));
  }
}

TEST_CASE("Proxy: one handle serves requests with and without it, and nothing is left over") {
  const ProxyPeer proxy({.credentials = base64(kCredentials)});
  Http1 server;
  const Variable set("http_proxy", proxy.url("http", kUserinfo));
  const Variable none("no_proxy", "localhost");
  const std::string url = server.url("/headers_echo");
  std::string direct = url;
  direct.replace(direct.find("127.0.0.1"), 9, "localhost");
  Client client;
  for (int i = 0; i < 3; ++i) {
    CHECK(contains(client.fetch(url).text(), "GET http://"));
    const std::string head = client.fetch(direct).text();
    CHECK(head.starts_with("GET /headers_echo HTTP/1.1\r\n"));
    CHECK_FALSE(contains(head, "Proxy-"));
  }
  CHECK(count(proxy, "GET http://") == 1);
}

TEST_CASE("Proxy: options that are wrong are refused at once, and show no password") {
  const auto refusal = [](const std::string& proxy) {
    return error_of([&] { const Client client({.proxy = proxy}); });
  };
  for (const char* proxy :
       {"ftp://us:s3cr@host", "gopher://s3cr@host", "http://", "http://us:s3cr@",
        "http://us:s3cr@host:port", "http://us:s3cr@host:99999", "http://us:s3cr@host/path",
        "http://us:s3cr@host?x", "http://us:s3cr%00@host", "http://us:s3cr%0a@host",
        "http://us:s3cr @host", "http://us:s3cr\r\n@host", "http//s3cr", "socks4://host"}) {
    CAPTURE(proxy);
    const auto error = refusal(proxy);
    REQUIRE(error);
    CHECK(error->code() == errc::invalid_argument);
    CHECK_FALSE(shows_secret(*error));
  }
  for (const char* proxy : {"host", "host:3128", "http://us:s3cr@[::1]:3128/", "SOCKS5h://host"}) {
    CAPTURE(proxy);
    CHECK_FALSE(refusal(proxy));
  }
}

TEST_SUITE_END();
