#include <doctest/doctest.h>
#include <signal.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "backpressure/checked.hpp"
#include "interop/nghttpd.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

namespace {

struct Setup {
  explicit Setup(bool tls) : server(tls), client(options(tls)) {}

  ClientOptions options(bool tls) const {
    ClientOptions made;
    made.version = tls ? HttpVersion::http2 : HttpVersion::http2_prior_knowledge;
    made.tls.ca_file = server.ca_file();
    return made;
  }
  Response fetch(std::string_view path, RequestInit init = {}) {
    return client.fetch(server.url(path), std::move(init));
  }

  Nghttpd server;
  Client client;
};

}  // namespace

TEST_SUITE_BEGIN("interop");

TEST_CASE("nghttpd: files of any size arrive whole") {
  WEIR_NEEDS_NGHTTPD();
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Setup at(tls);
    for (const std::uint64_t size : {std::uint64_t{1}, std::uint64_t{16'384}, std::uint64_t{65'537},
                                     std::uint64_t{1'000'003}, std::uint64_t{8 * kMiB}}) {
      CAPTURE(size);
      const std::string name = std::to_string(size);
      at.server.make_file(name, size, size);
      Response response = at.fetch("/" + name);
      CHECK(response.status == 200);
      CHECK(response.version == HttpVersion::http2);
      CHECK(response.body.length() == size);
      Reader reader = response.body.reader();
      CHECK(Tally(size).read(reader).is_whole(size));
    }
    CHECK(at.fetch("/missing").status == 404);
    Response head = at.fetch("/65537", {.method = "HEAD"});
    CHECK(head.headers.get("content-length") == "65537");
    CHECK(head.text().empty());
    if (tls) CHECK(at.client.stats().connections_opened == 1);
  }
}

TEST_CASE("nghttpd: a body of 8 MiB that is stalled and resumed has the right digest") {
  WEIR_NEEDS_NGHTTPD();
  constexpr std::uint64_t kSize = 8 * kMiB;
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Setup at(tls);
    at.server.make_file("file", 21, kSize);
    Reader reader = at.fetch("/file").body.reader();
    harness::Sha256 digest;
    Tally tally(21);
    for (const std::uint64_t stop : {std::uint64_t{0}, std::uint64_t{1'000'000}, kSize}) {
      while (tally.bytes < stop) {
        const auto chunk = reader.read();
        REQUIRE(tally.take(chunk));
        digest.update(chunk->bytes());
      }
      if (stop < kSize) REQUIRE(wait_until_paused(at.client));
    }
    CHECK(!reader.read());
    CHECK(tally.is_whole(kSize));
    CHECK(digest.hex() == harness::pattern::sha256(21, 0, kSize));
    const BodyStats stats = reader.stats();
    CHECK(stats.pauses >= 2);
    CHECK(stats.pauses == stats.resumes);
    CHECK(stats.peak_queued < kHighWater + kLastWrites);
  }
}

TEST_CASE("nghttpd: what is POSTed comes back") {
  WEIR_NEEDS_NGHTTPD();
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Setup at(tls);
    for (const std::size_t size : {0U, 1U, 65'535U, 60'000U}) {
      CAPTURE(size);
      std::vector<std::byte> bytes(size);
      harness::pattern::fill(size, 0, bytes);
      Response response = at.fetch("/echo", {.method = "POST", .body = bytes});
      CHECK(response.version == HttpVersion::http2);
      CHECK(response.bytes() == bytes);
    }
  }
}

TEST_CASE("nghttpd: a server that is killed in the middle of a body truncates it") {
  WEIR_NEEDS_NGHTTPD();
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Setup at(tls);
    at.server.make_file("file", 2, 64 * kMiB);
    Reader reader = at.fetch("/file").body.reader();
    Tally tally(2);
    tally.read(reader, kMiB);
    REQUIRE(wait_until_paused(at.client));
    const std::uint64_t received = reader.stats().received;
    at.server.process().signal(SIGKILL);
    at.server.process().wait();
    tally.read(reader);
    CHECK(tally.bytes >= received);
    CHECK(!tally.wrong);
    CHECK(tally.failed_with(errc::truncated));
    CHECK(balanced(at.client.stats()));
  }
}

TEST_SUITE_END();
