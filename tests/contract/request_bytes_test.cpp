#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "contract/raw_server.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::string_view_literals;

// What is sent, byte for byte, and what is refused before anything is.

namespace {

struct Row {
  std::string_view what;
  RequestInit (*init)();
  const char* line;    // the method
  const char* fields;  // after those that all have
  std::string_view body;
};

const Row kRows[] = {
    {"GET", [] { return RequestInit{}; }, "GET", "", ""},
    {"HEAD", [] { return RequestInit{.method = "HEAD"}; }, "HEAD", "", ""},
    {"a method of nobody's", [] { return RequestInit{.method = "Frob"}; }, "Frob", "", ""},
    {"DELETE", [] { return RequestInit{.method = "DELETE"}; }, "DELETE", "", ""},
    {"DELETE with a body", [] { return RequestInit{.method = "DELETE", .body = "gone"}; }, "DELETE",
     "Content-Length: 4\r\n", "gone"},
    {"POST", [] { return RequestInit{.body = "hello"}; }, "POST", "Content-Length: 5\r\n", "hello"},
    {"POST with NUL", [] { return RequestInit{.body = std::string("a\0b", 3)}; }, "POST",
     "Content-Length: 3\r\n", "a\0b"sv},
    {"POST without a body", [] { return RequestInit{.method = "POST"}; }, "POST",
     "Content-Length: 0\r\n", ""},
    {"PUT with an empty body", [] { return RequestInit{.method = "PUT", .body = ""}; }, "PUT",
     "Content-Length: 0\r\n", ""},
    {"PATCH", [] { return RequestInit{.method = "PATCH", .body = "x"}; }, "PATCH",
     "Content-Length: 1\r\n", "x"},
    {"OPTIONS", [] { return RequestInit{.method = "OPTIONS"}; }, "OPTIONS", "", ""},
    {"a type of its own",
     [] {
       return RequestInit{.headers = {{"Content-Type", "a/b"}}, .body = "hello"};
     },
     "POST", "Content-Type: a/b\r\nContent-Length: 5\r\n", "hello"},
    {"empty and repeated fields, in order",
     [] {
       return RequestInit{
           .headers = {{"X-B", "2"}, {"X-Empty", ""}, {"X-A", "1"}, {"x-b", "3"}, {"X-B", "2"}}};
     },
     "GET", "X-B: 2\r\nX-Empty:\r\nX-A: 1\r\nx-b: 3\r\nX-B: 2\r\n", ""},
    {"fields as they are",
     [] {
       return RequestInit{.headers = {{"X-A", "a:b;c, \"d\" \x80\xff"}, {"Cookie", "a=b; c"}}};
     },
     "GET", "X-A: a:b;c, \"d\" \x80\xff\r\nCookie: a=b; c\r\n", ""},
};

/// The fields of HTTP/1.1 as HTTP/2 sends them, and the server shows them.
std::string in_lower_case(std::string_view fields) {
  std::string text;
  bool in_name = true;
  for (std::size_t at = 0; at < fields.size(); ++at) {
    const char c = fields[at];
    text += in_name ? detail::to_lower(c) : c;
    if (in_name && fields.substr(at, 2) == ":\r") text += ' ';
    if (c == ':') in_name = false;
    if (c == '\n') in_name = true;
  }
  return text;
}

RequestInit raw(RequestInit init) {
  init.decode = false;
  return init;
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("fetch: sends these bytes over HTTP/1.1", T, PlainServer, TlsServer) {
    T server({.user_agent = "t/1"});
    const std::string host = "127.0.0.1:" + server.url().substr(server.url().rfind(':') + 1);
    const auto sent = [&](RequestInit init, std::string_view path) {
      server.renew();
      PendingResponse pending = server.client().async_fetch(server.url(path), raw(std::move(init)));
      PeerStream peer = server.accept();
      std::string all = peer.read_until("\r\n\r\n");
      const auto mark = all.find("Content-Length: ");
      if (mark != all.npos) all += peer.read(std::stoul(all.substr(mark + 16)));
      peer.write("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
      CHECK(finish(pending).status == 204);
      all += peer.read_all();  // nothing follows
      return all;
    };
    const std::string common = "Host: " + host.substr(0, host.size() - 1) + "\r\n";
    for (const Row& row : kRows) {
      CAPTURE(row.what);
      const std::string expected = std::string(row.line) + " /p?q=%20 HTTP/1.1\r\n" + common +
                                   "Accept: */*\r\nUser-Agent: t/1\r\n" + row.fields + "\r\n" +
                                   std::string(row.body);
      const std::string got = sent(row.init(), "/p?q=%20#fragment");
      CHECK(got == expected);
    }
    CHECK(sent({.headers = {{"Host", "other:1"}}}, "/") ==
          "GET / HTTP/1.1\r\nHost: other:1\r\nAccept: */*\r\nUser-Agent: t/1\r\n\r\n");
  }

  TEST_CASE_TEMPLATE("fetch: sends these fields over HTTP/2", T, Http2, H2c) {
    T transport({.user_agent = "t/1"});
    for (const Row& row : kRows) {
      CAPTURE(row.what);
      if (row.line == "HEAD"sv) continue;
      const std::string got =
          transport.client().fetch(transport.url("/headers_echo"), raw(row.init())).text();
      CHECK(
          got.ends_with("accept: */*\r\nuser-agent: t/1\r\n" + in_lower_case(row.fields) + "\r\n"));
      CHECK(contains(got, ":method: " + std::string(row.line) + "\r\n"));
      CHECK(contains(got, ":path: /headers_echo\r\n"));
      for (const auto name : {"expect", "connection", "te:", "transfer-encoding", "host"}) {
        CHECK(!contains(got, std::string("\r\n") + name));
      }
    }
  }

  TEST_CASE_TEMPLATE("fetch: what would smuggle a request is refused, and nothing is sent", T,
                     WEIR_TRANSPORTS) {
    T transport;
    const auto refused = [&](RequestInit init, const std::string& path = "/status/200") {
      return code_of([&] { transport.client().fetch(transport.url(path), std::move(init)); }) ==
             errc::invalid_argument;
    };
    for (const auto text :
         {"a\rb"sv, "a\nb"sv, "a\r\nB: c"sv, "a\0b"sv, "\r\n\r\nGET / HTTP/1.1"sv}) {
      const std::string value(text);
      CAPTURE(value);
      CHECK(code_of([&] { Headers({{"A", value}}); }) == errc::invalid_argument);
      CHECK(code_of([&] { Headers({{value, "a"}}); }) == errc::invalid_argument);
      CHECK(refused({.method = value}));
      CHECK(code_of([&] { Client({.user_agent = value}); }) == errc::invalid_argument);
    }
    for (const auto name : {"Content-Length", "content-length", "Transfer-Encoding", "Connection",
                            "TE", "te", "Upgrade"}) {
      CAPTURE(name);
      CHECK(refused({.headers = {{name, "1"}}}));
      CHECK(code_of([&] { Client({.headers = {{name, "1"}}}); }) == errc::invalid_argument);
    }
    for (const auto name : {"", " ", "A ", " A", "A:", "A b", "\xc3\xa9", "A\x7f"}) {
      CAPTURE(name);
      CHECK(code_of([&] { Headers({{name, "1"}}); }) == errc::invalid_argument);
    }
    for (const auto method : {"G T", "GET ", " GET", "G\tT", "GET\x7f", "CONNECT", "G\xc3\xa9T"}) {
      CAPTURE(method);
      CHECK(refused({.method = method}));
    }
    CHECK(refused({}, std::string("/a\0b", 4)));
    for (const auto url :
         {"", "/path", "example.org", "//example.org/", "http://", "http:///", "ftp://a/",
          "file:///etc/passwd", "javascript:alert(1)", "data:,a", "gopher://a/", "ws://a/",
          "http://a:70000/", "http://a:b/", "http://a b/", "http://[::1/", "http://a\r\nb/"}) {
      CAPTURE(url);
      CHECK(code_of([&] { transport.client().fetch(url); }) == errc::invalid_argument);
    }
    CHECK(transport.client().stats().requests == 0);
  }

  TEST_CASE_TEMPLATE("fetch: a URL with line ends in it cannot make another request", T,
                     PlainServer, TlsServer) {
    T server({.user_agent = "t/1"});
    for (const auto path :
         {"/a\r\nX: y"sv, "/a\nX: y"sv, "/?a\r\nX: y"sv, "/a HTTP/1.1\r\nX: y"sv}) {
      server.renew();
      PendingResponse pending = server.client().async_fetch(server.url(path), raw({}));
      const auto error = code_of([&] {
        if (pending.get().status != 0) throw Error({.code = errc::protocol_error});
      });
      CHECK(error == errc::invalid_argument);
    }
  }

  TEST_CASE_TEMPLATE("fetch: a body that was used cannot be sent", T, WEIR_TRANSPORTS) {
    T transport;
    Response answer = transport.client().fetch(transport.url("/status/200"));
    CHECK(answer.text() == "200\n");
    CHECK(code_of([&] { answer.text(); }) == errc::body_used);
    CHECK(code_of([&] { answer.body.reader().cancel(); }) == errc::body_used);
    CHECK(code_of([&] {
            transport.client().fetch(transport.url("/echo"), {.body = std::move(answer.body)});
          }) == errc::body_used);
  }

  TEST_CASE("fetch: a host without an address is resolve_failed, one out of reach connect_failed") {
    Client client;
    const auto told = error_of([&] { client.fetch("http://user:pw@weir.invalid/a?b"); });
    REQUIRE(told);
    CHECK(told->code() == errc::resolve_failed);
    CHECK(told->url() == "http://weir.invalid/a?b");
    CHECK(contains(told->detail(), "weir.invalid"));
    CHECK(told->retryable());
    CHECK(told->status() == 0);
    const auto lost = error_of([&] { client.fetch("http://255.255.255.255/"); });
    REQUIRE(lost);
    CHECK(lost->code() == errc::connect_failed);
    CHECK(lost->retryable());
  }
}
