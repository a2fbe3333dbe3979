#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "backpressure/checked.hpp"
#include "interop/apache.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

namespace {

/// A client that talks to it one way.
struct Setup {
  Setup(const Apache& server, const Protocol& how)
      : apache(server), protocol(how), client(options()) {}

  ClientOptions options() const {
    ClientOptions made;
    made.tls.ca_file = apache.ca_file();
    made.version = protocol.version;
    return made;
  }
  Response fetch(std::string_view path, RequestInit init = {}) {
    return client.fetch(apache.url(protocol.tls, path), std::move(init));
  }

  const Apache& apache;
  const Protocol& protocol;
  Client client;
};

}  // namespace

TEST_SUITE_BEGIN("interop");

TEST_CASE("apache2: files of any size arrive whole, as they are and deflated") {
  WEIR_NEEDS_APACHE();
  const Apache server;
  const std::vector<std::uint64_t> sizes = {0, 1, 16'384, 65'537, 1'000'003, 8 * kMiB};
  for (const std::uint64_t size : sizes) server.make_file(std::to_string(size), size, size);
  for (const Protocol& protocol : apache_protocols()) {
    CAPTURE(protocol.name);
    Setup at(server, protocol);
    for (const std::uint64_t size : sizes) {
      CAPTURE(size);
      Response response = at.fetch("/files/" + std::to_string(size));
      CHECK(response.status == 200);
      CHECK(response.version == protocol.version);
      CHECK(response.body.length() == size);
      CHECK(response.headers.get("server").value_or("").substr(0, 6) == "Apache");
      Reader reader = response.body.reader();
      CHECK(Tally(size).read(reader).is_whole(size));

      Response deflated = at.fetch("/deflated/" + std::to_string(size));
      if (size > 1000) CHECK(deflated.headers.get("content-encoding") == "gzip");
      Reader decoded = deflated.body.reader();
      CHECK(Tally(size).read(decoded).is_whole(size));
    }
    CHECK(at.client.stats().connections_opened == 1);
  }
}

TEST_CASE("apache2: a connection that it ends after a hundred requests is replaced unnoticed") {
  WEIR_NEEDS_APACHE();
  const Apache server;
  server.make_file("small", 4, 20'000);
  for (const Protocol& protocol : apache_protocols()) {
    CAPTURE(protocol.name);
    Setup at(server, protocol);
    int whole = 0;
    constexpr int kCount = 250;
    for (int i = 0; i < kCount; ++i) {
      Reader reader = at.fetch("/files/small").body.reader();
      whole += Tally(4).read(reader).is_whole(20'000);
    }
    CHECK(whole == kCount);
    CHECK(at.client.stats().connections_opened <= 3);
  }
}

TEST_CASE(
    "apache2: responses without a body, refusals and its own redirect are as they should be") {
  WEIR_NEEDS_APACHE();
  const Apache server;
  server.make_file("file", 1, 1000);
  for (const Protocol& protocol : apache_protocols()) {
    CAPTURE(protocol.name);
    Setup at(server, protocol);
    Response head = at.fetch("/files/file", {.method = "HEAD"});
    CHECK(head.headers.get("content-length") == "1000");
    CHECK(head.text().empty());
    const auto tag = head.headers.get("etag");
    REQUIRE(tag);
    Response same = at.fetch("/files/file", {.headers = {{"If-None-Match", *tag}}});
    CHECK(same.status == 304);
    CHECK(same.text().empty());
    Response part = at.fetch("/files/file", {.headers = {{"Range", "bytes=100-199"}}});
    CHECK(part.status == 206);
    CHECK(part.text().size() == 100);
    CHECK(at.fetch("/missing").status == 404);
    CHECK(at.fetch("/files/file", {.method = "POST", .body = "order"}).status >= 200);
    Response moved = at.fetch("/files");
    CHECK(moved.redirected);
    CHECK(moved.url == server.url(protocol.tls, "/files/"));
    CHECK(at.fetch("/files/file").status == 200);
  }
}

TEST_CASE("apache2: a body that is stalled and resumed has the right digest") {
  WEIR_NEEDS_APACHE();
  const Apache server;
  const std::uint64_t size = sized<std::uint64_t>(16, 64, 256) * kMiB;
  server.make_file("large", 9, size);
  for (const Protocol& protocol : apache_protocols()) {
    CAPTURE(protocol.name);
    Setup at(server, protocol);
    Reader reader = at.fetch("/files/large").body.reader();
    Tally tally(9);
    REQUIRE(tally.take(reader.read()));
    REQUIRE(wait_until_paused(at.client));
    CHECK(reader.stats().queued <= kHighWater + kLastWrites);
    CHECK(tally.read(reader).is_whole(size));
    CHECK(balanced(at.client.stats()));
  }
}

TEST_SUITE_END();
