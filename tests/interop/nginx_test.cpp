#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "backpressure/checked.hpp"
#include "interop/nginx.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace std::chrono_literals;
using namespace weir;
using namespace weir::test;
using harness::Firehose;

namespace {

struct Server {
  Firehose behind;
  Nginx nginx{behind};
};

/// A client that talks to it one way.
struct Setup {
  Setup(Server& server, const Protocol& how, ClientOptions options = {})
      : behind(server.behind),
        nginx(server.nginx),
        protocol(how),
        client(trusting_nginx(std::move(options))) {}

  ClientOptions trusting_nginx(ClientOptions options) const {
    options.tls.ca_file = nginx.ca_file();
    options.version = protocol.version;
    return options;
  }
  Response fetch(std::string_view path, RequestInit init = {}) {
    return client.fetch(nginx.url(protocol.tls, path), std::move(init));
  }
  Tally read(std::string_view path, std::uint64_t seed) {
    Reader reader = fetch(path).body.reader();
    return Tally(seed).read(reader);
  }

  Firehose& behind;
  Nginx& nginx;
  const Protocol& protocol;
  Client client;
};

constexpr std::uint64_t kLarge = 64 * kMiB;

}  // namespace

TEST_SUITE_BEGIN("interop");

TEST_CASE("nginx: files of any size arrive whole over one connection") {
  WEIR_NEEDS_NGINX();
  Server server;
  const std::vector<std::uint64_t> sizes = {
      0,       1,       2,         1000,     4095,
      4096,    16'383,  16'384,    65'535,   65'537,
      262'144, 1 << 20, 1'000'003, 8 * kMiB, sized<std::uint64_t>(16, 64, 512) * kMiB};
  for (const std::uint64_t size : sizes) server.nginx.make_file(std::to_string(size), size, size);
  for (const Protocol& protocol : kNginxProtocols) {
    CAPTURE(protocol.name);
    Setup at(server, protocol);
    for (const std::uint64_t size : sizes) {
      Response response = at.fetch("/files/" + std::to_string(size));
      CHECK(response.status == 200);
      CHECK(response.version == protocol.version);
      CHECK(response.body.length() == size);
      CHECK(response.headers.get("server").value_or("").substr(0, 5) == "nginx");
      Reader reader = response.body.reader();
      CHECK(Tally(size).read(reader).is_whole(size));
    }
    CHECK(at.client.stats().connections_opened == 1);
  }
}

TEST_CASE("nginx: requests one after the other use one connection") {
  WEIR_NEEDS_NGINX();
  Server server;
  server.nginx.make_file("small", 4, 20'000);
  const int count = sized(100, 100, 480);
  for (const Protocol& protocol : kNginxProtocols) {
    CAPTURE(protocol.name);
    Setup at(server, protocol);
    int whole = 0;
    for (int i = 0; i < count; ++i) whole += at.read("/files/small", 4).is_whole(20'000);
    CHECK(whole == count);
    CHECK(at.client.stats().connections_opened == 1);
  }
}

TEST_CASE("nginx: responses without a body, and refusals, leave the connection usable") {
  WEIR_NEEDS_NGINX();
  Server server;
  server.nginx.make_file("file", 1, kMiB);
  for (const Protocol& protocol : kNginxProtocols) {
    CAPTURE(protocol.name);
    Setup at(server, protocol);
    Response head = at.fetch("/files/file", {.method = "HEAD"});
    CHECK(head.status == 200);
    CHECK(head.headers.get("content-length") == std::to_string(kMiB));
    CHECK(head.text().empty());

    Response missing = at.fetch("/files/missing");
    CHECK(missing.status == 404);
    CHECK(!missing.ok());
    CHECK(missing.text().find("404 Not Found") != std::string::npos);

    RequestInit post;
    post.method = "POST";
    post.body = "not wanted here";
    Response refused = at.fetch("/files/file", std::move(post));
    CHECK(refused.status == 405);
    CHECK(refused.text().find("405 Not Allowed") != std::string::npos);

    RequestInit range;
    range.headers = {{"Range", "bytes=1000-2999"}};
    Response part = at.fetch("/files/file", std::move(range));
    CHECK(part.status == 206);
    const auto bytes = part.bytes();
    CHECK(bytes.size() == 2000);
    CHECK(!harness::pattern::check(1, 1000, bytes));

    RequestInit fresh;
    fresh.headers = {{"If-None-Match", head.headers.get("etag").value_or("")}};
    Response same = at.fetch("/files/file", std::move(fresh));
    CHECK(same.status == 304);
    CHECK(same.text().empty());
    CHECK(at.client.stats().connections_opened == 1);
  }
}

TEST_CASE("nginx: a head above max_header_bytes is too large, and one below is read") {
  WEIR_NEEDS_NGINX();
  Server server;
  ClientOptions options;
  options.max_header_bytes = 128 * kKiB;
  for (const Protocol& protocol : kNginxProtocols) {
    CAPTURE(protocol.name);
    Setup narrow(server, protocol);
    Setup wide(server, protocol, options);
    std::optional<Error> error;
    try {
      narrow.fetch("/large_head");
    } catch (const Error& caught) {
      error = caught;
    }
    REQUIRE(error.has_value());
    CHECK(error->code() == errc::too_large);
    CHECK(error->detail().find("max_header_bytes") != std::string::npos);
    Response response = wide.fetch("/large_head");
    CHECK(response.headers.get("x-79") == std::string(1000, 'v'));
    CHECK(response.text() == "body");
  }
}

TEST_CASE("nginx: chunked bodies through an unbuffered proxy arrive whole") {
  WEIR_NEEDS_NGINX();
  Server server;
  const std::uint64_t size = sized<std::uint64_t>(4, 32, 256) * kMiB;
  for (const Protocol& protocol : kNginxProtocols) {
    CAPTURE(protocol.name);
    Setup at(server, protocol);
    for (const std::string more : {"", "&chunked=1", "&no_length=1", "&chunked=1&write=1000"}) {
      CAPTURE(more);
      const std::string path = "/bytes/" + std::to_string(size) + "?seed=6" + more;
      Response response = at.fetch("/proxy" + path);
      CHECK(response.status == 200);
      CHECK(response.body.length().has_value() == more.empty());
      Reader reader = response.body.reader();
      CHECK(Tally(6).read(reader).is_whole(size));
    }
  }
}

TEST_CASE("nginx: a reader that stalls holds up the server behind the proxy") {
  WEIR_NEEDS_NGINX();
  Server server;
  const std::uint64_t size = 4 * kLarge;
  for (const Protocol& protocol : kNginxProtocols) {
    CAPTURE(protocol.name);
    Setup at(server, protocol);
    const std::string path = "/bytes/" + std::to_string(size) + "?seed=8&chunked=1";
    Reader reader = at.fetch("/proxy" + path).body.reader();
    Tally tally(8);
    tally.read(reader, kMiB);
    REQUIRE(wait_until_paused(at.client));
    REQUIRE(at.behind.wait_until_blocked({}, 30s));
    const BodyStats stalled = reader.stats();
    CHECK(stalled.peak_queued < kHighWater + kOneWrite);
    const std::uint64_t accepted = at.behind.stats().bodies.back().bytes_accepted;
    CHECK(accepted < size);
    MESSAGE("proxied", over(protocol), ": the server behind got rid of ", mib(accepted), ", read ",
            mib(stalled.drained), ", queued ", mib(stalled.queued));
    CHECK(tally.read(reader).is_whole(size));
    CHECK(reader.stats().pauses == reader.stats().resumes);
  }
}

TEST_CASE("nginx: a worker that is killed in the middle of a body truncates it") {
  WEIR_NEEDS_NGINX();
  Server server;
  server.nginx.make_file("large", 2, kLarge);
  for (const Protocol& protocol : kNginxProtocols) {
    CAPTURE(protocol.name);
    Setup at(server, protocol);
    Reader reader = at.fetch("/files/large").body.reader();
    Tally tally(2);
    tally.read(reader, kMiB);
    REQUIRE(wait_until_paused(at.client));
    const BodyStats stalled = reader.stats();
    const pid_t worker = at.nginx.worker();
    REQUIRE(worker > 0);
    ::kill(worker, SIGKILL);
    tally.read(reader);
    CHECK(tally.bytes >= stalled.received);
    CHECK(tally.bytes < kLarge);
    CHECK(!tally.wrong);
    CHECK(tally.failed_with(errc::truncated));
    // Its successor serves on.
    CHECK(at.read("/files/large", 2).is_whole(kLarge));
  }
}

TEST_CASE("nginx: a server that stops at once truncates the body") {
  WEIR_NEEDS_NGINX();
  for (const Protocol& protocol : kNginxProtocols) {
    CAPTURE(protocol.name);
    Server server;
    Setup at(server, protocol);
    at.nginx.make_file("large", 2, kLarge);
    Reader reader = at.fetch("/files/large").body.reader();
    Tally tally(2);
    tally.read(reader, 1);
    REQUIRE(wait_until_paused(at.client));
    at.nginx.process().signal(SIGTERM);
    CHECK(at.nginx.process().wait() == 0);
    tally.read(reader);
    CHECK(tally.bytes < kLarge);
    CHECK(!tally.wrong);
    CHECK(tally.failed_with(errc::truncated));
    CHECK(balanced(at.client.stats()));
  }
}

TEST_CASE("nginx: a server that stops gracefully finishes a body however slowly it is read") {
  WEIR_NEEDS_NGINX();
  for (const Protocol& protocol : kNginxProtocols) {
    CAPTURE(protocol.name);
    Server server;
    Setup at(server, protocol);
    at.nginx.make_file("large", 2, kLarge);
    Reader reader = at.fetch("/files/large").body.reader();
    Tally tally(2);
    tally.read(reader, 1);
    REQUIRE(wait_until_paused(at.client));
    at.nginx.process().signal(SIGQUIT);
    CHECK(tally.read(reader).is_whole(kLarge));
    CHECK(at.nginx.process().wait() == 0);
    std::optional<Error> error;
    try {
      at.fetch("/files/large");
    } catch (const Error& caught) {
      error = caught;
    }
    REQUIRE(error.has_value());
    CHECK(error->code() == errc::connect_failed);
  }
}

TEST_SUITE_END();
