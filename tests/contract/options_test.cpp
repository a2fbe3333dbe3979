#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "contract/transports.hpp"
#include "interop/folder.hpp"
#include "support/certificates.hpp"
#include "support/listener.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;
using harness::Firehose;

namespace {

std::optional<errc> refusal(const ClientOptions& options) {
  return code_of([&] { const Client client(options); });
}

/// A server on a Unix socket that answers each request with its head.
class UnixPeer {
 public:
  explicit UnixPeer(const std::string& path)
      : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    if (::bind(listener_.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_.fd(), 8) != 0)
      throw std::system_error(errno, std::generic_category(), "listen");
    thread_ = std::thread([this] { serve(); });
  }
  ~UnixPeer() {
    ::shutdown(listener_.fd(), SHUT_RDWR);
    thread_.join();
  }

  /// On the connection of the last request, which is idle; it has arrived when this returns.
  void send(std::string_view text) {
    const std::lock_guard lock(mutex_);
    if (last_ >= 0) ::send(last_, text.data(), text.size(), MSG_NOSIGNAL);
  }

 private:
  void serve() {
    for (;;) {
      const int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      const Socket client(fd);
      for (;;) {
        const std::string head = client.read_until("\r\n\r\n");
        const std::lock_guard lock(mutex_);
        last_ = head.empty() ? -1 : client.fd();
        if (head.empty()) break;
        client.write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(head.size()) +
                     "\r\n\r\n" + head);
      }
    }
  }

  Socket listener_;
  std::mutex mutex_;
  int last_ = -1;  // guarded by mutex_
  std::thread thread_;
};

bool has_ipv6() {
  try {
    const Firehose server({.ipv6 = true});
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

std::string at(const std::string& host, const Firehose& server, const std::string& path) {
  std::string url = server.url(path);
  return url.replace(url.find("127.0.0.1"), 9, host);
}

/// The line of a head that begins so, without its end; empty if there is none.
std::string line_of(const std::string& head, const std::string& start) {
  const auto begin = head.find("\r\n" + start);
  if (begin == head.npos) return "";
  return head.substr(begin + 2, head.find("\r\n", begin + 2) - begin - 2);
}

}  // namespace

TEST_SUITE_BEGIN("contract");

TEST_CASE("unix_socket: requests to any host go there, over one connection, and to no proxy") {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "socket";
  const UnixPeer peer(path);
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  {
    Client client({.unix_socket = path});
    for (const char* url : {"http://docker/v1", "http://docker/v1", "http://docker/v1"}) {
      const std::string head = client.fetch(url).text();
      CHECK(head.starts_with("GET /v1 HTTP/1.1\r\n"));
      CHECK(line_of(head, "Host:") == "Host: docker");
    }
    CHECK(client.stats().connections_opened == 1);
  }
  CHECK(Client({.unix_socket = path}).fetch("http://other.invalid:99/").ok());
  ::unsetenv("http_proxy");
}

TEST_CASE("unix_socket: what comes after a response is not taken for the next one") {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "socket";
  UnixPeer peer(path);
  Client client({.unix_socket = path});
  for (int i = 0; i < 5; ++i) {
    Response response = client.fetch("http://docker/v1");
    CHECK(response.status == 200);
    CHECK(response.text().starts_with("GET "));
    REQUIRE(eventually([&] { return client.stats().active == 0; }));
    peer.send("HTTP/1.1 500 Forged\r\nContent-Length: 0\r\n\r\n");
  }
  CHECK(client.stats().connections_opened == 5);
}

TEST_CASE("unix_socket: where nobody listens it is connect_failed") {
  const TemporaryFolder folder;
  Client client({.unix_socket = folder.path() / "nobody"});
  const auto error = error_of([&] { client.fetch("http://localhost/"); });
  REQUIRE(error);
  CHECK(error->code() == errc::connect_failed);
  CHECK_FALSE(error->detail().starts_with("proxy"));
  CHECK(refusal({.unix_socket = std::string(108, 'x')}) == errc::invalid_argument);
  CHECK(refusal({.unix_socket = std::string("a\0b", 3)}) == errc::invalid_argument);
  CHECK(refusal({.proxy = "http://host", .unix_socket = "a"}) == errc::invalid_argument);
  CHECK_FALSE(refusal({.proxy = "direct", .unix_socket = std::string(107, 'x')}));
}

TEST_CASE("resolve: hosts are found where the options say, whatever the case of their letters") {
  const Firehose server;
  const Firehose other;
  ClientOptions options;
  options.resolve = {{"One.invalid", server.port(), "127.0.0.1"},
                     {"two.invalid", server.port(), "127.0.0.2"},
                     {"two.invalid", server.port(), "127.0.0.1"},
                     {"one.invalid", other.port(), "127.0.0.1"}};
  Client client(options);
  for (int i = 0; i < 3; ++i) {
    const std::string head = client.fetch(at("oNe.invalid", server, "/headers_echo")).text();
    CHECK(contains(line_of(head, "Host:"), "e.invalid:"));
    CHECK(client.fetch(at("one.invalid", other, "/status/200")).ok());
    // Nobody is at its first address.
    CHECK(client.fetch(at("two.invalid", server, "/status/200")).ok());
    CHECK(client.fetch(server.url("/status/200")).ok());
  }
  CHECK(code_of([&] { client.fetch("http://one.invalid:1/"); }) == errc::resolve_failed);
}

TEST_CASE("resolve: \"*\" stands for all other hosts; certificates are those of the URL's host") {
  const Chain chain;
  Https1 transport;
  ClientOptions options;
  options.tls.ca_pem = transport.server().ca_pem();
  options.resolve = {{"*", transport.server().port(), "127.0.0.1"}};
  Client client(options);
  CHECK(client.fetch(at("localhost", transport.server(), "/status/200")).ok());
  CHECK(code_of([&] { client.fetch(at("any.invalid", transport.server(), "/")); }) ==
        errc::tls_failed);
}

TEST_CASE("resolve: entries that mean nothing are refused") {
  for (const HostAddress& entry :
       {HostAddress{"", 80, "127.0.0.1"}, HostAddress{"a:b", 80, "127.0.0.1"},
        HostAddress{"-a", 80, "127.0.0.1"}, HostAddress{"+a", 80, "127.0.0.1"},
        HostAddress{"a b", 80, "127.0.0.1"}, HostAddress{std::string(256, 'a'), 80, "127.0.0.1"},
        HostAddress{"a", 0, "127.0.0.1"}, HostAddress{"a", 80, "localhost"},
        HostAddress{"a", 80, ""}, HostAddress{"a", 80, "[::1]"},
        HostAddress{"a", 80, "127.0.0.1,::1"}, HostAddress{"a", 80, std::string("::1\0", 4)}}) {
    CAPTURE(entry.host);
    CAPTURE(entry.address);
    CHECK(refusal({.resolve = {entry}}) == errc::invalid_argument);
  }
  CHECK_FALSE(refusal({.resolve = {{"a", 80, "::1"}, {"b", 65'535, "1.2.3.4"}}}));
}

TEST_CASE("IPv6: a literal address is a host like any other, plain and with TLS") {
  if (!has_ipv6()) {
    MESSAGE("SKIPPED: no ::1 here");
    return;
  }
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    const Firehose server({.tls = tls, .ipv6 = true});
    ClientOptions options;
    options.tls.ca_pem = server.ca_pem();
    options.resolve = {{"six.invalid", server.port(), "::1"}};
    Client client(options);
    CHECK(contains(server.url(), "//[::1]:"));
    Response response = client.fetch(server.url("/bytes/100000?seed=2"));
    CHECK(response.url == server.url("/bytes/100000?seed=2"));
    CHECK(read_all(response, 2) == 100'000);
    const std::string head = client.fetch(server.url("/headers_echo")).text();
    CHECK(line_of(head, "Host:") == "Host: [::1]:" + std::to_string(server.port()));
    std::string named = server.url("/status/200");
    named.replace(named.find("[::1]"), 5, "six.invalid");
    if (!tls) CHECK(client.fetch(named).ok());
  }
}

TEST_CASE("headers: the client's go with every request that has none of that name") {
  Http1 transport({.headers = {{"X-One", "1"}, {"X-Two", "2"}, {"x-two", "3"}}});
  const auto head = [&](Headers own) {
    return transport.client()
        .fetch(transport.url("/headers_echo"), {.headers = std::move(own)})
        .text();
  };
  CHECK(line_of(head({}), "X-One:") == "X-One: 1");
  CHECK(contains(head({}), "X-Two: 2\r\nx-two: 3\r\n"));
  const std::string own = head({{"x-two", "mine"}, {"X-Three", ""}});
  CHECK(line_of(own, "X-One:") == "X-One: 1");
  CHECK(line_of(own, "X-Two:") == "");
  CHECK(line_of(own, "x-two:") == "x-two: mine");
  CHECK(line_of(own, "X-Three:") == "X-Three:");
}

TEST_CASE("user_agent: is sent unless it is empty, or the fields say otherwise") {
  const Firehose server;
  const auto agent = [&](const ClientOptions& options, Headers own = {}) {
    Client client(options);
    const std::string url = server.url("/headers_echo");
    return line_of(client.fetch(url, {.headers = std::move(own)}).text(), "User-Agent:");
  };
  CHECK(agent({}) == "User-Agent: weir/0.1");
  CHECK(agent({.user_agent = "mine/1.0 (x)"}) == "User-Agent: mine/1.0 (x)");
  CHECK(agent({.user_agent = ""}) == "");
  CHECK(agent({.user_agent = "mine", .headers = {{"user-agent", "field"}}}) == "");
  CHECK(agent({.user_agent = "mine"}, {{"User-Agent", "own"}}) == "User-Agent: own");
  CHECK(refusal({.user_agent = "a\r\nX: 1"}) == errc::invalid_argument);
}

TEST_CASE_TEMPLATE("Credentials of the URL become Basic authorization, decoded", T, Http1, Https1,
                   Http2) {
  T transport;
  const auto authorization = [&](const std::string& userinfo, Headers own = {}) {
    std::string url = transport.url("/headers_echo");
    url.insert(url.find("//") + 2, userinfo);
    Response response = transport.client().fetch(url, {.headers = std::move(own)});
    CHECK(response.url == transport.url("/headers_echo"));
    return line_of(response.text(), T::wire_name("Authorization:"));
  };
  const std::string basic = T::wire_name("Authorization") + ": Basic ";
  CHECK(authorization("user:word@") == basic + base64("user:word"));
  CHECK(authorization("us%65r:w%3Aord%40%25@") == basic + base64("user:w:ord@%"));
  CHECK(authorization("user@") == basic + base64("user:"));
  CHECK(authorization(":word@") == basic + base64(":word"));
  CHECK(authorization("caf%C3%A9:x@") == basic + base64("caf\xc3\xa9:x"));
  CHECK(authorization("user:word@", {{"Authorization", "Bearer mine"}}) ==
        T::wire_name("Authorization") + ": Bearer mine");
  CHECK(authorization("") == "");  // nothing is left of those before
}

TEST_CASE("Credentials of the URL that libcurl cannot take are invalid_argument") {
  Http1 transport;
  for (const char* userinfo : {"user%00:word@", "user:word%00@"}) {
    CAPTURE(userinfo);
    std::string url = transport.url("/headers_echo");
    url.insert(url.find("//") + 2, userinfo);
    const auto error = error_of([&] { transport.client().fetch(url); });
    REQUIRE(error);
    CHECK(error->code() == errc::invalid_argument);
    CHECK_FALSE(contains(error->what(), "word"));
  }
}

TEST_SUITE_END();
