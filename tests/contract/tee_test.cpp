#include <doctest/doctest.h>

#include <cstdint>
#include <future>
#include <optional>
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

/// The two branches of the response to `path`.
template <class T>
std::pair<Reader, Reader> tee_of(T& transport, const std::string& path, std::size_t lag) {
  auto bodies = transport.client().fetch(transport.url(path)).body.tee(lag);
  return {bodies.first.reader(), bodies.second.reader()};
}

std::future<Seen> read_elsewhere(Reader& reader) {
  return std::async(std::launch::async, [&reader] { return read_all(reader, 5); });
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE(
      "tee: both branches get the whole body, read by threads, by turns, by coroutines", T,
      WEIR_TRANSPORTS) {
    T transport;
    const std::uint64_t size = sized<std::uint64_t>(600'000, 5'000'000, 50'000'000);
    for (const char* const framing : {"", "&chunked=1"}) {
      CAPTURE(framing);
      const std::string path = "/bytes/" + std::to_string(size) + "?seed=5" + framing;
      for (const std::size_t lag : {std::size_t{0}, std::size_t{256} << 10}) {
        CAPTURE(lag);
        auto threads = tee_of(transport, path, lag);
        auto other = read_elsewhere(threads.second);
        CHECK(read_all(threads.first, 5) == size);
        CHECK(other.get() == size);

        auto turns = tee_of(transport, path, lag);
        std::uint64_t first = 0;
        std::uint64_t second = 0;
        for (bool more = true; more;) {
          const auto one = turns.first.read();
          const auto two = turns.second.read();
          if (one) first += one->size();
          if (two) second += two->size();
          more = one || two;
        }
        CHECK(first == size);
        CHECK(second == size);

        auto coroutines = tee_of(transport, path, lag);
        auto awaited = read_async(std::move(coroutines.first), 5);
        auto beside = read_async(std::move(coroutines.second), 5);
        CHECK(awaited.get() == size);
        CHECK(beside.get() == size);

        auto mixed = tee_of(transport, path, lag);
        auto coroutine = read_async(std::move(mixed.first), 5);
        CHECK(read_all(mixed.second, 5) == size);
        CHECK(coroutine.get() == size);
      }
    }
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("tee: a branch that is dropped or cancelled leaves the other whole", T,
                     WEIR_TRANSPORTS) {
    T transport;
    const std::uint64_t size = sized<std::uint64_t>(1'000'000, 5'000'000, 50'000'000);
    const std::string path = "/bytes/" + std::to_string(size) + "?seed=5";
    for (const bool drop : {false, true}) {
      CAPTURE(drop);
      auto [first, second] = tee_of(transport, path, 100'000);
      auto whole = read_elsewhere(first);
      std::optional<Reader> gone(std::move(second));
      CHECK(gone->read());
      if (drop) {
        gone.reset();
      } else {
        gone->cancel();
        CHECK(code_of([&] { gone->read(); }) == errc::aborted);
      }
      CHECK(whole.get() == size);
    }
    CHECK(transport.wait_until_quiet(1));
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("tee: with both branches gone the transfer is over", T, WEIR_TRANSPORTS) {
    T transport;
    {
      auto [first, second] = tee_of(transport, "/bytes/1000000000?seed=5", 100'000);
      CHECK(first.read());
      first.cancel();
      CHECK(second.read());
    }
    REQUIRE(eventually([&] { return transport.client().stats().active == 0; }));
    CHECK(transport.client().stats().queue_memory == 0);
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("tee: a body cut short fails on both branches, after what came", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    auto [first, second] = tee_of(transport, "/bytes/300000?seed=5&cut_after=150000", 1'000'000);
    const Seen one = read_all(first, 5);
    const Seen other = read_all(second, 5);
    CHECK(one.bytes == 150'000);
    CHECK(other.bytes == 150'000);
    CHECK(one.code() == errc::truncated);
    CHECK(other.code() == errc::truncated);
  }

  TEST_CASE_TEMPLATE("tee: of a decoded body, and of a tee", T, WEIR_NETWORK_TRANSPORTS) {
    T transport;
    const std::uint64_t size = sized<std::uint64_t>(300'000, 2'000'000, 8'000'000);
    const std::string path = "/bytes/" + std::to_string(size) + "?seed=5&encode=gzip";
    auto bodies = transport.client().fetch(transport.url(path)).body.tee();
    auto inner = std::move(bodies.second).tee(1000);
    Reader one = bodies.first.reader();
    Reader two = inner.first.reader();
    Reader three = inner.second.reader();
    auto first = read_elsewhere(one);
    auto second = read_async(std::move(two), 5);
    CHECK(read_all(three, 5) == size);
    CHECK(first.get() == size);
    CHECK(second.get() == size);
    CHECK(one.stats().decoded == size);
  }
}
