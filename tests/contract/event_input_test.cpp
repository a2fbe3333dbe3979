#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "contract/transports.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

// What servers should not send, and what proxies and codings make of events, through both ways to
// read them.

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

SteadyTime now() { return std::chrono::steady_clock::now(); }

EventSourceOptions quick() {
  EventSourceOptions options;
  options.retry = options.max_retry = 1ms;
  return options;
}

EventSourceOptions once() {
  EventSourceOptions options;
  options.reconnect = Reconnect::never;
  return options;
}

template <class T>
EventStream open(T& transport, std::string_view path, RequestInit init = {}) {
  return EventStream(transport.client().fetch(transport.url(path), std::move(init)).body);
}

/// The data of all events, a blank behind each.
template <class Events>
std::string read_all(Events& events) {
  std::string all;
  while (const auto event = events.next()) all += event->data + ' ';
  return all;
}

template <class Events>
std::string read(Events& events, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += events.next().value().data + ' ';
  return all;
}

constexpr std::string_view kRedirect =
    "/redirect/2?to=/sse%3Fevents%3D3%26ids%3D1%26close_after%3D";

}  // namespace

TEST_SUITE_BEGIN("contract");

TEST_CASE_TEMPLATE("Events: a line of 17 MiB is too_large, and is not asked for again", T,
                   WEIR_NETWORK_TRANSPORTS) {
  T transport;
  const std::string path = "/sse?events=1&size=" + std::to_string(17 << 20);
  EventStream stream = open(transport, path);
  CHECK(code_of([&] { stream.next(); }) == errc::too_large);
  EventSource source(transport.client(), transport.url(path), quick());
  const auto error = error_of([&] { source.next(); });
  REQUIRE(error);
  CHECK(error->code() == errc::too_large);
  CHECK(error->detail().starts_with("SseLimits::line = 16777216: "));
  CHECK(error->url() == transport.url(path));
  CHECK(source.state() == EventSource::State::closed);
  CHECK(transport.client().stats().requests == 2);
  CHECK(transport.wait_until_quiet(1));
}

TEST_CASE_TEMPLATE("Events: EventSource refuses another content type, EventStream does not look", T,
                   WEIR_NETWORK_TRANSPORTS) {
  T transport;
  const std::string path = "/bytes/100?content_type=text/html";
  EventSource source(transport.client(), transport.url(path), quick());
  const auto error = error_of([&] { source.next(); });
  REQUIRE(error);
  CHECK(error->code() == errc::bad_status);
  CHECK(error->status() == 200);
  CHECK(error->detail() == "content type text/html");
  CHECK(transport.client().stats().requests == 1);
  CHECK(open(transport, path).next() == std::nullopt);
}

TEST_CASE_TEMPLATE("Events: ill-formed UTF-8 becomes U+FFFD", T, WEIR_NETWORK_TRANSPORTS) {
  T transport;
  const std::string path = "/sse?events=1&data=a%FF%C3%28%ED%A0%80%E2%82z";
  const std::string_view kBad = "\xEF\xBF\xBD";
  std::string expected = "a";
  expected.append(kBad).append(kBad).append("(").append(kBad).append(kBad).append(kBad);
  expected.append(kBad).append("z ");
  EventStream stream = open(transport, path);
  CHECK(read_all(stream) == expected);
  EventSource source(transport.client(), transport.url(path), once());
  CHECK(read_all(source) == expected);
}

TEST_CASE_TEMPLATE("Events: of an encoded stream come with each flush, not with its end", T,
                   WEIR_NETWORK_TRANSPORTS) {
  T transport;
  for (const char* coding : {"gzip", "deflate", "br", "zstd", "gzip,br"}) {
    CAPTURE(coding);
    // After them nothing comes, nor an end.
    const std::string path =
        std::string("/sse?interval_ms=1&close_after=3&swallow_fin=1&encode=") + coding;
    EventStream stream = open(transport, path);
    CHECK(read(stream, 3) == "0 1 2 ");
    EventSource source(transport.client(), transport.url(path));
    CHECK(read(source, 3) == "0 1 2 ");
    EventSource whole(transport.client(),
                      transport.url(std::string("/sse?events=2&encode=") + coding), once());
    CHECK(read_all(whole) == "0 1 ");
  }
}

TEST_CASE_TEMPLATE("Events: redirects are followed, each time anew, with the last id", T,
                   WEIR_NETWORK_TRANSPORTS) {
  T transport;
  const std::string path = std::string(kRedirect) + "1";
  EventSource source(transport.client(), transport.url(path), quick());
  CHECK(read_all(source) == "0 1 2 ");
  CHECK(source.stats().reconnects == 3);
  CHECK(transport.client().stats().redirects == 4 * 2);
  EventStream stream = open(transport, std::string(kRedirect) + "9");
  CHECK(read_all(stream) == "0 1 2 ");
}

TEST_CASE_TEMPLATE("Events: a redirect that is not followed is an error, and final", T,
                   WEIR_NETWORK_TRANSPORTS) {
  T transport;
  const auto outcome = [&](std::string_view path, Redirect redirect) {
    EventSourceOptions options = quick();
    options.init.redirect = redirect;
    EventSource source(transport.client(), transport.url(path), std::move(options));
    const auto error = error_of([&] { source.next(); });
    REQUIRE(error);
    return std::pair(static_cast<errc>(error->code().value()), error->status());
  };
  CHECK(outcome(kRedirect, Redirect::manual) == std::pair(errc::bad_status, 302));
  CHECK(outcome(kRedirect, Redirect::error).first == errc::too_many_redirects);
  CHECK(outcome("/redirect/25", Redirect::follow).first == errc::too_many_redirects);
  CHECK(outcome("/redirect/1?to=file:///etc/passwd", Redirect::follow).first != errc::bad_status);
  CHECK(transport.client().stats().requests == 4);
}

TEST_CASE_TEMPLATE("Events: a server that closes after each event is asked no faster for it", T,
                   WEIR_NETWORK_TRANSPORTS) {
  T transport;
  EventSourceOptions options;
  options.retry = 1ms;
  options.max_retry = 16ms;
  const SteadyTime start = now();
  EventSource source(transport.client(), transport.url("/sse?events=10&ids=1&close_after=1"),
                     std::move(options));
  CHECK(read_all(source) == "0 1 2 3 4 5 6 7 8 9 ");
  CHECK(source.stats().reconnects == 10);
  CHECK(now() - start >= (1ms + 2ms + 4ms + 8ms) + 6 * 16ms);
}

TEST_CASE_TEMPLATE("Events: a connection that falls silent is asked for again with the last id", T,
                   WEIR_NETWORK_TRANSPORTS) {
  T transport;
  EventSourceOptions options = quick();
  options.idle_timeout = 50ms;
  std::vector<errc> lost;
  options.on_disconnect = [&](const Error& error) {
    lost.push_back(static_cast<errc>(error.code().value()));
  };
  EventSource source(transport.client(),
                     transport.url("/sse?events=3&ids=1&close_after=2&swallow_fin=1"),
                     std::move(options));
  CHECK(read_all(source) == "0 1 2 ");  // none twice, so the id was sent
  CHECK(lost == std::vector{errc::timed_out, errc::timed_out});
}

TEST_SUITE_END();
