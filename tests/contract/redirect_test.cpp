#include <doctest/doctest.h>

#include <cstdint>
#include <future>
#include <limits>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "contract/transports.hpp"
#include "support/coroutine.hpp"
#include "support/listener.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

constexpr int kForEver = std::numeric_limits<int>::max();
constexpr std::uint64_t kGib = std::uint64_t{1} << 30;

std::string escaped(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string escaped;
  for (const char c : text) {
    if (detail::is_alpha(c) || detail::is_digit(c)) {
      escaped += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      escaped.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
  return escaped;
}

/// The path of `hops` redirects to `to`.
std::string redirect(std::string_view to, int status = 302, int hops = 1, std::uint64_t body = 0) {
  return "/redirect/" + std::to_string(hops) + "?status=" + std::to_string(status) +
         "&body=" + std::to_string(body) + "&to=" + escaped(to);
}

/// A redirect to itself.
const std::string kLoop = redirect("");

/// Two origins, and a client that trusts both.
struct Two {
  Two(bool tls, bool http2)
      : one({.tls = tls, .http2 = http2}), other({.tls = tls, .http2 = http2}) {
    ClientOptions options;
    if (http2) options.version = tls ? HttpVersion::http2 : HttpVersion::http2_prior_knowledge;
    options.tls.ca_pem = one.ca_pem() + other.ca_pem();
    options.headers = {{"Authorization", "Bearer secret"}};
    client = std::make_unique<Client>(std::move(options));
  }
  harness::Firehose one;
  harness::Firehose other;
  std::unique_ptr<Client> client;
};

template <class Test>
void with_two(Test test) {
  for (const bool tls : {false, true}) {
    for (const bool http2 : {false, true}) {
      CAPTURE(tls);
      CAPTURE(http2);
      Two two(tls, http2);
      test(two);
    }
  }
}

/// The same URL with userinfo.
std::string with_user(std::string url) { return url.insert(url.find("//") + 2, "user:pass@"); }

std::string lower(std::string text) {
  for (char& c : text) c = detail::to_lower(c);
  return text;
}

struct Result {
  int status = 0;
  bool redirected = false;
  std::string url{};
  std::string thread{};
  std::optional<errc> error{};
};

Coroutine<Result> await_head(Client& client, std::string url, RequestInit init = {}) {
  Result result;
  auto pending = client.async_fetch(url, std::move(init));
  try {
    const Response response = co_await pending;
    result.status = response.status;
    result.redirected = response.redirected;
    result.url = response.url;
  } catch (const Error& error) {
    result.error = static_cast<errc>(error.code().value());
  }
  result.thread = thread_name();
  co_return result;
}

template <class T>
void check_nothing_left(T& transport) {
  REQUIRE(eventually([&] { return transport.client().stats().active == 0; }));
  const ClientStats stats = transport.client().stats();
  CHECK(stats.queue_memory == 0);
  CHECK(balanced(stats));
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("fetch: follows redirects to the end, over one connection", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    std::uint64_t followed = 0;
    struct Row {
      int hops;
      std::uint64_t body;
    };
    for (const Row& row : {Row{1, 0}, Row{2, 1}, Row{20, 1'000}, Row{2, 60'000}}) {
      CAPTURE(row.hops);
      Response response = transport.client().fetch(
          transport.url(redirect("/bytes/100000?seed=3", 302, row.hops, row.body)));
      CHECK(response.status == 200);
      CHECK(response.redirected);
      CHECK(response.url == transport.url("/bytes/100000?seed=3"));
      CHECK_FALSE(response.headers.has("Location"));
      CHECK(read_all(response, 3) == 100'000);
      followed += static_cast<std::uint64_t>(row.hops);
    }
    check_nothing_left(transport);
    const ClientStats stats = transport.client().stats();
    CHECK(stats.redirects == followed);
    CHECK(stats.requests == 4);
    CHECK(stats.bytes_received == 400'000);
    if (T::reuses()) CHECK(stats.connections_opened == 1);
  }

  TEST_CASE_TEMPLATE("fetch: with Redirect::manual a redirect is the response", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    const std::string url = transport.url(redirect("file:///x", 307, 1, 70'000));
    Response response = transport.client().fetch(url, {.redirect = Redirect::manual});
    CHECK(response.status == 307);
    CHECK(response.headers.get("Location") == "file:///x");
    CHECK_FALSE(response.redirected);
    CHECK(response.url == url);
    CHECK(read_all(response) == 70'000);
    CHECK(transport.client().stats().redirects == 0);
  }

  TEST_CASE_TEMPLATE("fetch: too many redirects, or any with Redirect::error, are an error", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    const auto check = [&](const std::string& path, RequestInit init, std::string_view detail) {
      CAPTURE(path);
      const auto error =
          error_of([&] { transport.client().fetch(transport.url(path), std::move(init)); });
      REQUIRE(error);
      CHECK(error->code() == errc::too_many_redirects);
      CHECK(error->status() == 302);
      CHECK(contains(error->detail(), detail));
      CHECK(contains(error->url(), "/redirect/1?"));
    };
    check(redirect("/status/200", 302, 21), {}, "max_redirects (20)");
    check(redirect("/status/200", 302, 3), {.max_redirects = 2}, "max_redirects (2)");
    check(redirect("/status/200"), {.max_redirects = 0}, "max_redirects (0)");
    check(redirect("/status/200"), {.redirect = Redirect::error}, "Redirect::error");
    check(kLoop, {}, "max_redirects (20)");
    check_nothing_left(transport);
    CHECK(code_of([&] {
            transport.client().fetch(transport.url("/status/200"), {.max_redirects = -1});
          }) == errc::invalid_argument);
  }

  TEST_CASE_TEMPLATE("fetch: a redirect changes the method, or sends the body again", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    const std::string text(3'000'000, 'x');
    for (const int status : {301, 302, 303}) {
      CAPTURE(status);
      Response got = transport.client().fetch(transport.url(redirect("/headers_echo", status, 2)),
                                              {.headers = {{"Content-Type", "a/b"}}, .body = text});
      const std::string head = got.text();
      CHECK(contains(head, "GET"));
      CHECK_FALSE(contains(lower(head), "content-"));
    }
    for (const int status : {307, 308}) {
      CAPTURE(status);
      Response echo =
          transport.client().fetch(transport.url(redirect("/echo", status, 2)),
                                   {.headers = {{"Content-Type", "a/b"}}, .body = text});
      CHECK(echo.headers.get("Content-Type") == "a/b");
      CHECK(echo.text() == text);
    }
    Response put = transport.client().fetch(transport.url(redirect("/echo", 302)),
                                            {.method = "PUT", .body = text});
    CHECK(put.text() == text);
    Response head = transport.client().fetch(transport.url(redirect("/bytes/1000", 303, 2, 5)),
                                             {.method = "HEAD"});
    CHECK(head.status == 200);
    CHECK(head.headers.get("Content-Length") == "1000");
    CHECK(head.bytes().empty());
    check_nothing_left(transport);
  }

  TEST_CASE_TEMPLATE("Response: its url has the fragment, and no credentials", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    const auto url_after = [&](std::string_view to) {
      const std::string from = with_user(transport.url(redirect(to) + "#part"));
      return transport.client().fetch(from).url;
    };
    CHECK(url_after("/status/200") == transport.url("/status/200#part"));
    CHECK(url_after("/status/200#other") == transport.url("/status/200#other"));
    CHECK(url_after("../status/./201") == transport.url("/status/201#part"));
    CHECK(url_after(transport.url("/status/202")) == transport.url("/status/202#part"));
  }

  TEST_CASE_TEMPLATE("fetch: of a redirect's large body nothing is read", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    const std::string path = redirect("/bytes/1000?seed=4", 302, 1, kGib);
    Response response = transport.client().fetch(transport.url(path));
    CHECK(read_all(response, 4) == 1'000);
    check_nothing_left(transport);
    CHECK(transport.client().stats().bytes_received == 1'000);
    REQUIRE(transport.server().wait_for([&](const harness::FirehoseStats& now) {
      const auto* const record = now.find(path);
      return record != nullptr && record->state != harness::BodyState::live;
    }));
    const auto now = transport.server().stats();
    CHECK(now.find(path)->state == harness::BodyState::vanished);
    CHECK(now.find(path)->bytes_accepted < kGib / 16);  // what the kernels hold
  }

  TEST_CASE_TEMPLATE("fetch: a Location that is no http or https URL is refused", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    for (const auto to : {"file:///etc/passwd", "ftp://127.0.0.1/", "mailto:a@b", "http://",
                          "javascript:alert(1)"}) {
      CAPTURE(to);
      const std::string url = transport.url(redirect(to, 302, 1, kGib));
      const auto error = error_of([&] { transport.client().fetch(url); });
      REQUIRE(error);
      CHECK(error->code() == errc::invalid_argument);
      CHECK(error->status() == 302);
      CHECK(error->url() == url);
      CHECK(contains(error->detail(), "Location"));
    }
    check_nothing_left(transport);
  }

  TEST_CASE_TEMPLATE("fetch: headers_timeout and total_timeout run over all redirects", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    const auto check = [&](RequestInit init, const std::string& detail) {
      const auto error =
          error_of([&] { transport.client().fetch(transport.url(kLoop), std::move(init)); });
      REQUIRE(error);
      CHECK(error->code() == errc::timed_out);
      CHECK(contains(error->detail(), detail));
    };
    const auto redirects = [&] { return transport.client().stats().redirects; };
    // On a busy machine the first redirect alone may take long.
    for (milliseconds limit{50}; redirects() < 2 && limit < 20s; limit *= 2) {
      const std::string words = "_timeout (" + std::to_string(limit.count()) + " ms)";
      check({.max_redirects = kForEver, .headers_timeout = limit}, "headers" + words);
      check({.max_redirects = kForEver, .total_timeout = limit}, "total" + words);
    }
    CHECK(redirects() >= 2);
    check_nothing_left(transport);
  }

  TEST_CASE_TEMPLATE("fetch: a stop ends it on its way", T, WEIR_NETWORK_TRANSPORTS) {
    for (const std::string& path : {redirect("/hang", 302, 3), kLoop}) {
      T transport;
      std::stop_source stop;
      auto code = std::async(std::launch::async, [&] {
        return code_of([&] {
          transport.client().fetch(transport.url(path),
                                   {.stop = stop.get_token(), .max_redirects = kForEver});
        });
      });
      CHECK(transport.wait_for_requests(4));
      stop.request_stop();
      CHECK(code.get() == errc::aborted);
      check_nothing_left(transport);
      CHECK(transport.wait_until_quiet(1));
    }
  }

  TEST_CASE_TEMPLATE("Client: its end aborts what is on its way", T, WEIR_NETWORK_TRANSPORTS) {
    for (const std::string& path : {redirect("/hang", 302, 3), kLoop}) {
      T transport;
      auto code = std::async(std::launch::async, [&, &client = transport.client()] {
        return code_of([&] { client.fetch(transport.url(path), {.max_redirects = kForEver}); });
      });
      auto head = await_head(transport.client(), transport.url(path), {.max_redirects = kForEver});
      CHECK(transport.wait_for_requests(8));
      REQUIRE(eventually([&] { return transport.client().stats().active == 2; }));
      transport.destroy_client();
      CHECK(code.get() == errc::aborted);
      CHECK(head.get().error == errc::aborted);
    }
  }

  TEST_CASE_TEMPLATE("async_fetch: follows redirects by itself", T, WEIR_NETWORK_TRANSPORTS) {
    T transport;
    auto pending = transport.client().async_fetch(transport.url(redirect("/hang", 302, 5)));
    REQUIRE(transport.wait_for_requests(6));  // nobody waits for it
    auto head = await_head(transport.client(), transport.url(redirect("/status/404", 302, 5)));
    const Result result = head.get();
    CHECK(result.status == 404);
    CHECK(result.redirected);
    CHECK(result.url == transport.url("/status/404"));
    CHECK(result.thread != "weir-io");
    auto whole = transport.client().async_fetch(transport.url(redirect("/bytes/500", 302, 5)));
    CHECK(whole.get().bytes().size() == 500);
    auto error = await_head(transport.client(), transport.url(kLoop));
    CHECK(error.get().error == errc::too_many_redirects);
  }

  TEST_CASE_TEMPLATE("async_fetch: a drop and a stop end it on its way", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    std::stop_source stop;
    const auto loop = [&] {
      return transport.client().async_fetch(transport.url(kLoop),
                                            {.stop = stop.get_token(), .max_redirects = kForEver});
    };
    { const auto dropped = loop(); }
    auto stopped = loop();
    auto later = std::make_optional(loop());
    CHECK(transport.wait_for_requests(8));
    later.reset();
    stop.request_stop();
    CHECK(code_of([&] { stopped.get(); }) == errc::aborted);
    check_nothing_left(transport);
  }

  TEST_CASE("fetch: credentials and the Host do not go to another origin") {
    with_two([](Two& two) {
      const auto head_at = [&](const std::string& to) {
        const std::string from = with_user(two.one.url(redirect(to, 307)));
        Response response =
            two.client->fetch(from, {.headers = {{"Cookie", "a=b"},
                                                 {"Proxy-Authorization", "Basic secret"},
                                                 {"Host", "virtual.example"},
                                                 {"X-Kept", "1"}}});
        return lower(response.text());
      };
      const std::string within = head_at("/headers_echo");
      for (const auto kept : {"authorization: bearer secret", "cookie: a=b",
                              "proxy-authorization: basic secret", "virtual.example", "x-kept: 1"})
        CHECK(contains(within, kept));
      const std::string left = head_at(two.other.url("/headers_echo"));
      for (const auto dropped : {"authorization", "cookie", "secret", "virtual.example"})
        CHECK_FALSE(contains(left, dropped));
      CHECK(contains(left, "x-kept: 1"));
    });
  }

  TEST_CASE("fetch: userinfo of the URL does not go to another origin") {
    with_two([](Two& two) {
      Client client({.tls = {.ca_pem = two.one.ca_pem() + two.other.ca_pem()}});
      const auto head_at = [&](const std::string& to) {
        return lower(client.fetch(with_user(two.one.url(redirect(to)))).text());
      };
      CHECK(contains(head_at("/headers_echo"), "authorization: basic"));
      CHECK(contains(head_at(two.one.url("/headers_echo")), "authorization: basic"));
      CHECK_FALSE(contains(head_at(two.other.url("/headers_echo")), "authorization"));
      CHECK_FALSE(contains(head_at(with_user(two.other.url("/headers_echo"))), "authorization"));
    });
  }

  TEST_CASE("fetch: from http to https, and never back") {
    const harness::Firehose plain;
    const harness::Firehose secure({.tls = true});
    Client client({.tls = {.ca_pem = secure.ca_pem()}});
    CHECK(client.fetch(plain.url(redirect(secure.url("/status/201")))).status == 201);
    const auto before = plain.stats().requests;
    for (const std::string& to : {plain.url("/status/200"), secure.url("/x").erase(4, 1)}) {
      const auto error = error_of([&] { client.fetch(secure.url(redirect(to))); });
      REQUIRE(error);
      CHECK(error->code() == errc::invalid_argument);
      CHECK(contains(error->detail(), "https to http"));
    }
    CHECK(plain.stats().requests == before);
  }

  TEST_CASE("fetch: a redirect's body that does not come holds nothing up") {
    const Listener server;
    Client client;
    for (const auto framing : {"Content-Length: 10", "Transfer-Encoding: chunked"}) {
      auto pending = client.async_fetch(server.url());
      const Socket first = server.accept();
      first.read_until("\r\n\r\n");
      first.write(std::string("HTTP/1.1 302 Found\r\nLocation: /next\r\n") + framing + "\r\n\r\n");
      const Socket second = server.accept();
      CHECK(contains(second.read_until("\r\n\r\n"), "GET /next HTTP/1.1\r\n"));
      second.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
      CHECK(pending.get().text() == "ok");
      CHECK(first.read_until("never").empty());  // it was closed
    }
  }

  TEST_CASE("fetch: a redirect's body without end is not read for long") {
    const harness::Firehose server;
    Client client;
    for (const auto framing : {"Transfer-Encoding: chunked\r\n\r\n10000000\r\n", "\r\n"}) {
      const Listener from;
      auto pending = client.async_fetch(from.url());
      const Socket first = from.accept();
      first.read_until("\r\n\r\n");
      first.write("HTTP/1.1 302 Found\r\nLocation: " + server.url("/bytes/77") + "\r\n" + framing);
      first.write(std::string(200'000, 'x'));
      CHECK(pending.get().bytes().size() == 77);
      CHECK(first.read_until("never").empty());
    }
  }

  TEST_CASE("fetch: a redirect that comes before the body is sent ends the sending") {
    const Listener server;
    Client client;
    auto pending =
        client.async_fetch(server.url(), {.body = std::string(sized(8u, 64u, 64u) << 20, 'x')});
    const Socket first = server.accept();
    first.read_until("\r\n\r\n");
    first.write("HTTP/1.1 303 See Other\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n");
    const Socket second = server.accept();
    CHECK(contains(second.read_until("\r\n\r\n"), "GET /next HTTP/1.1\r\n"));
    second.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    CHECK(pending.get().text() == "ok");
  }
}
