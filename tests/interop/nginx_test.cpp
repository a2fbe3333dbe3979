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

struct Setup {
  explicit Setup(ClientOptions options = {}) : client(trusting_nginx(std::move(options))) {}

  ClientOptions trusting_nginx(ClientOptions options) const {
    options.tls.ca_file = nginx.ca_file();
    return options;
  }
  Response fetch(bool tls, std::string_view path, RequestInit init = {}) {
    return client.fetch(nginx.url(tls, path), std::move(init));
  }
  Tally read(bool tls, std::string_view path, std::uint64_t seed) {
    Reader reader = fetch(tls, path).body.reader();
    return Tally(seed).read(reader);
  }

  Firehose behind;
  Nginx nginx{behind};
  Client client;
};

constexpr std::uint64_t kLarge = 64 * kMiB;

}  // namespace

TEST_SUITE_BEGIN("interop");

TEST_CASE("nginx: files of any size arrive whole over one connection") {
  WEIR_NEEDS_NGINX();
  Setup at;
  const std::vector<std::uint64_t> sizes = {
      0,       1,       2,         1000,     4095,
      4096,    16'383,  16'384,    65'535,   65'537,
      262'144, 1 << 20, 1'000'003, 8 * kMiB, sized<std::uint64_t>(16, 64, 512) * kMiB};
  for (const std::uint64_t size : sizes) at.nginx.make_file(std::to_string(size), size, size);
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    const std::uint64_t before = at.client.stats().connections_opened;
    for (const std::uint64_t size : sizes) {
      Response response = at.fetch(tls, "/files/" + std::to_string(size));
      CHECK(response.status == 200);
      CHECK(response.version == HttpVersion::http1);
      CHECK(response.body.length() == size);
      CHECK(response.headers.get("server").value_or("").substr(0, 5) == "nginx");
      Reader reader = response.body.reader();
      CHECK(Tally(size).read(reader).is_whole(size));
    }
    CHECK(at.client.stats().connections_opened == before + 1);
  }
}

TEST_CASE("nginx: requests one after the other use one connection") {
  WEIR_NEEDS_NGINX();
  Setup at;
  at.nginx.make_file("small", 4, 20'000);
  const int count = sized(100, 100, 480);
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    const std::uint64_t before = at.client.stats().connections_opened;
    int whole = 0;
    for (int i = 0; i < count; ++i) whole += at.read(tls, "/files/small", 4).is_whole(20'000);
    CHECK(whole == count);
    CHECK(at.client.stats().connections_opened == before + 1);
  }
}

TEST_CASE("nginx: responses without a body, and refusals, leave the connection usable") {
  WEIR_NEEDS_NGINX();
  Setup at;
  at.nginx.make_file("file", 1, kMiB);
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    const std::uint64_t before = at.client.stats().connections_opened;
    Response head = at.fetch(tls, "/files/file", {.method = "HEAD"});
    CHECK(head.status == 200);
    CHECK(head.headers.get("content-length") == std::to_string(kMiB));
    CHECK(head.text().empty());

    Response missing = at.fetch(tls, "/files/missing");
    CHECK(missing.status == 404);
    CHECK(!missing.ok());
    CHECK(missing.text().find("404 Not Found") != std::string::npos);

    RequestInit post;
    post.method = "POST";
    post.body = "not wanted here";
    Response refused = at.fetch(tls, "/files/file", std::move(post));
    CHECK(refused.status == 405);
    CHECK(refused.text().find("405 Not Allowed") != std::string::npos);

    RequestInit range;
    range.headers = {{"Range", "bytes=1000-2999"}};
    Response part = at.fetch(tls, "/files/file", std::move(range));
    CHECK(part.status == 206);
    const auto bytes = part.bytes();
    CHECK(bytes.size() == 2000);
    CHECK(!harness::pattern::check(1, 1000, bytes));

    RequestInit fresh;
    fresh.headers = {{"If-None-Match", head.headers.get("etag").value_or("")}};
    Response same = at.fetch(tls, "/files/file", std::move(fresh));
    CHECK(same.status == 304);
    CHECK(same.text().empty());
    CHECK(at.client.stats().connections_opened == before + 1);
  }
}

TEST_CASE("nginx: a head above max_header_bytes is too large, and one below is read") {
  WEIR_NEEDS_NGINX();
  Setup narrow;
  ClientOptions options;
  options.max_header_bytes = 128 * kKiB;
  Setup wide(options);
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    std::optional<Error> error;
    try {
      narrow.fetch(tls, "/large_head");
    } catch (const Error& caught) {
      error = caught;
    }
    REQUIRE(error.has_value());
    CHECK(error->code() == errc::too_large);
    CHECK(error->detail().find("max_header_bytes") != std::string::npos);
    Response response = wide.fetch(tls, "/large_head");
    CHECK(response.headers.get("x-79") == std::string(1000, 'v'));
    CHECK(response.text() == "body");
  }
}

TEST_CASE("nginx: chunked bodies through an unbuffered proxy arrive whole") {
  WEIR_NEEDS_NGINX();
  Setup at;
  const std::uint64_t size = sized<std::uint64_t>(4, 32, 256) * kMiB;
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    for (const std::string more : {"", "&chunked=1", "&no_length=1", "&chunked=1&write=1000"}) {
      CAPTURE(more);
      const std::string path = "/bytes/" + std::to_string(size) + "?seed=6" + more;
      Response response = at.fetch(tls, "/proxy" + path);
      CHECK(response.status == 200);
      CHECK(response.body.length().has_value() == more.empty());
      Reader reader = response.body.reader();
      CHECK(Tally(6).read(reader).is_whole(size));
    }
  }
}

TEST_CASE("nginx: a reader that stalls holds up the server behind the proxy") {
  WEIR_NEEDS_NGINX();
  Setup at;
  const std::uint64_t size = 4 * kLarge;
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    const std::string path = "/bytes/" + std::to_string(size) + "?seed=8&chunked=1";
    Reader reader = at.fetch(tls, "/proxy" + path).body.reader();
    Tally tally(8);
    tally.read(reader, kMiB);
    REQUIRE(wait_until_paused(at.client));
    REQUIRE(at.behind.wait_until_blocked({}, 30s));
    const BodyStats stalled = reader.stats();
    CHECK(stalled.peak_queued < kHighWater + kOneWrite);
    const std::uint64_t accepted = at.behind.stats().bodies.back().bytes_accepted;
    CHECK(accepted < size);
    MESSAGE("proxied", over(tls), ": the server behind got rid of ", mib(accepted), ", read ",
            mib(stalled.drained), ", queued ", mib(stalled.queued));
    CHECK(tally.read(reader).is_whole(size));
    CHECK(reader.stats().pauses == reader.stats().resumes);
  }
}

TEST_CASE("nginx: a worker that is killed in the middle of a body truncates it") {
  WEIR_NEEDS_NGINX();
  Setup at;
  at.nginx.make_file("large", 2, kLarge);
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Reader reader = at.fetch(tls, "/files/large").body.reader();
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
    CHECK(at.read(tls, "/files/large", 2).is_whole(kLarge));
  }
}

TEST_CASE("nginx: a server that stops at once truncates the body") {
  WEIR_NEEDS_NGINX();
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Setup at;
    at.nginx.make_file("large", 2, kLarge);
    Reader reader = at.fetch(tls, "/files/large").body.reader();
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
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Setup at;
    at.nginx.make_file("large", 2, kLarge);
    Reader reader = at.fetch(tls, "/files/large").body.reader();
    Tally tally(2);
    tally.read(reader, 1);
    REQUIRE(wait_until_paused(at.client));
    at.nginx.process().signal(SIGQUIT);
    CHECK(tally.read(reader).is_whole(kLarge));
    CHECK(at.nginx.process().wait() == 0);
    std::optional<Error> error;
    try {
      at.fetch(tls, "/files/large");
    } catch (const Error& caught) {
      error = caught;
    }
    REQUIRE(error.has_value());
    CHECK(error->code() == errc::connect_failed);
  }
}

TEST_SUITE_END();
