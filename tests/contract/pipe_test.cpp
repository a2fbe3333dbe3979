#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "contract/transports.hpp"
#include "support/coroutine.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

namespace {

Generator<Chunk> as_is(Reader reader) {
  for (const Chunk& chunk : reader) co_yield chunk;
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("pipe_through: a whole body goes through, read by a thread or a coroutine", T,
                     WEIR_TRANSPORTS) {
    T transport;
    const std::uint64_t size = sized<std::uint64_t>(300'000, 5'000'000, 50'000'000);
    const std::string path = "/bytes/" + std::to_string(size) + "?seed=5";
    const auto get = [&] {
      return transport.client().fetch(transport.url(path)).body.pipe_through(as_is);
    };
    Reader reader = get().reader();
    CHECK(read_all(reader, 5) == size);
    CHECK(reader.stats().decoded == size);
    CHECK(read_async(get().reader(), 5).get() == size);
    CHECK(get().bytes().size() == size);
  }

  TEST_CASE_TEMPLATE("pipe_through: a reader that stands still stops the server", T,
                     WEIR_TRANSPORTS) {
    T transport;
    Reader reader = transport.client()
                        .fetch(transport.url("/bytes/100000000?seed=5"))
                        .body.pipe_through(as_is)
                        .reader();
    CHECK(reader.read());
    REQUIRE(transport.wait_until_blocked());
    CHECK(reader.stats().drained <= 2 * 64 * 1024);
    reader.cancel();
    CHECK(code_of([&] { reader.read(); }) == errc::aborted);
    REQUIRE(eventually([&] { return transport.client().stats().active == 0; }));
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("pipe_to: the bytes go to the sink; one that throws ends the transfer", T,
                     WEIR_TRANSPORTS) {
    T transport;
    const std::uint64_t size = sized<std::uint64_t>(300'000, 5'000'000, 50'000'000);
    const auto get = [&](std::uint64_t count) {
      const std::string path = "/bytes/" + std::to_string(count) + "?seed=5";
      return std::move(transport.client().fetch(transport.url(path)).body);
    };
    Seen seen;
    const auto sink = [&seen](const Chunk& chunk) {
      if (!seen.wrong) seen.wrong = harness::pattern::check(5, seen.bytes, chunk.bytes());
      seen.bytes += chunk.size();
    };
    CHECK(get(size).pipe_to(sink) == size);
    CHECK(seen == size);
    const auto full = [](const Chunk&) { throw 17; };
    CHECK_THROWS_AS(get(1'000'000'000).pipe_to(full), int);
    std::stop_source stop;
    const auto stopping = [&stop](const Chunk&) { stop.request_stop(); };
    CHECK(code_of([&] { get(1'000'000'000).pipe_to(stopping, stop.get_token()); }) ==
          errc::aborted);
    REQUIRE(eventually([&] { return transport.client().stats().active == 0; }));
    CHECK(balanced(transport.client().stats()));
  }
}
