#include <doctest/doctest.h>

#include <cstdint>
#include <future>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "contract/transports.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::size_t kOneWrite = 16 * 1024;
constexpr std::size_t kAbove = 2 * kOneWrite;  // the write that completes a body is never refused
constexpr std::size_t kUnread = 256 * 1024;
constexpr std::size_t kHigh = 4 * 1024 * 1024;

// Enough to fill what the kernel holds beside the queue.
constexpr std::uint64_t kLarge = 24'000'000;

template <class T>
Response get_large(T& transport, std::uint64_t seed, RequestInit init = {}) {
  return transport.client().fetch(transport.url("/bytes/24000000?seed=" + std::to_string(seed)),
                                  std::move(init));
}

/// Reads one Chunk, which is checked.
Seen read_once(Reader& reader, std::uint64_t seed) {
  Seen seen;
  if (const auto chunk = reader.read()) {
    seen.bytes = chunk->size();
    seen.wrong = harness::pattern::check(seed, 0, chunk->bytes());
  }
  return seen;
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("Body: one that nobody reads stops at 256 KiB and one write", T,
                     WEIR_TRANSPORTS) {
    T transport;
    Response response = get_large(transport, 1);
    REQUIRE(transport.wait_until_blocked());
    const BodyStats stats = response.body.stats();
    CHECK(stats.paused);
    CHECK(stats.pauses == 1);
    CHECK(stats.resumes == 0);
    CHECK(stats.drained == 0);
    CHECK(stats.queued == stats.received);
    CHECK(stats.queued >= kUnread);
    CHECK(stats.queued <= kUnread + kOneWrite);
    CHECK(transport.client().stats().paused == 1);
    CHECK(read_all(response, 1) == kLarge);
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("Reader: one that stops stops the server, and then gets every byte", T,
                     WEIR_TRANSPORTS) {
    T transport;
    Response response = get_large(transport, 2);
    Reader reader = response.body.reader();
    Seen seen = read_once(reader, 2);
    REQUIRE(transport.wait_until_blocked());
    const BodyStats stalled = reader.stats();
    CHECK(stalled.paused);
    CHECK(stalled.queued + seen.bytes >= kHigh);  // the read may have come after the pause
    CHECK(stalled.peak_queued <= kHigh + kOneWrite);
    CHECK(balanced(transport.client().stats()));
    CHECK(read_on(reader, 2, seen) == kLarge);
    const BodyStats done = reader.stats();
    CHECK(done.pauses >= 1);
    CHECK(done.pauses == done.resumes);
    CHECK(done.peak_queued <= kHigh + kAbove);
    CHECK(done.paused_for > std::chrono::nanoseconds(0));
    CHECK(!done.paused);
  }

  TEST_CASE_TEMPLATE("Reader: odd watermarks bound the queue and lose nothing", T,
                     WEIR_TRANSPORTS) {
    T transport;
    struct Row {
      std::size_t high, low;
    };
    for (const Row row : {Row{1, 0}, Row{2, 1}, Row{1'000, 999}, Row{16'384, 1}, Row{65'536, 0},
                          Row{65'536, 65'535}, Row{1'048'576, 1'048'575}}) {
      CAPTURE(row.high);
      CAPTURE(row.low);
      Response response = transport.client().fetch(transport.url("/bytes/2000001?seed=3"),
                                                   {.high_water = row.high, .low_water = row.low});
      Reader reader = response.body.reader();
      CHECK(read_all(reader, 3) == 2'000'001);
      const BodyStats stats = reader.stats();
      CHECK(stats.peak_queued <= row.high + kAbove);
      CHECK(stats.pauses == stats.resumes);
    }
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("Reader: small reads drain as well as large ones", T, WEIR_TRANSPORTS) {
    T transport;
    Response response =
        transport.client().fetch(transport.url("/bytes/300007?seed=4"), {.high_water = 10'000});
    Reader reader = response.body.reader();
    std::vector<std::byte> out(13);
    Seen seen;
    while (const auto count = reader.read_some(out)) {
      const Bytes bytes = Bytes(out).first(count);
      if (!seen.wrong) seen.wrong = harness::pattern::check(4, seen.bytes, bytes);
      seen.bytes += count;
    }
    CHECK(seen == 300'007);
    CHECK(reader.stats().peak_queued <= 10'000 + kAbove);
  }

  TEST_CASE_TEMPLATE("Client: two stalled bodies hold up neither each other nor a third", T,
                     WEIR_TRANSPORTS) {
    T transport;
    Response first = get_large(transport, 10);
    Response second = get_large(transport, 11);
    Reader first_reader = first.body.reader();
    Reader second_reader = second.body.reader();
    Seen first_seen = read_once(first_reader, 10);
    Seen second_seen = read_once(second_reader, 11);
    REQUIRE(transport.wait_until_blocked(2));
    const auto count = sized(1, 3, 10);
    for (int round = 0; round < count; ++round) {
      Response active = get_large(transport, 12);
      CHECK(read_all(active, 12) == kLarge);
    }
    CHECK(first_reader.stats().paused);
    CHECK(second_reader.stats().paused);
    CHECK(read_on(second_reader, 11, second_seen) == kLarge);
    CHECK(first_reader.stats().paused);
    CHECK(read_on(first_reader, 10, first_seen) == kLarge);
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("Client: stalled bodies share its budget, and all get their bytes", T,
                     WEIR_TRANSPORTS) {
    constexpr std::size_t kBudget = std::size_t{1} << 20;
    constexpr std::size_t kBodies = 12;
    T transport({.memory_budget = kBudget});
    std::vector<Response> responses;
    for (std::size_t body = 0; body < kBodies; ++body) {
      responses.push_back(get_large(transport, body));
    }
    REQUIRE(transport.wait_until_blocked(kBodies));
    CHECK(transport.client().stats().peak_queue_memory <= kBudget + kBodies * 64 * 1024);
    Response active = transport.client().fetch(transport.url("/bytes/5000000?seed=99"));
    CHECK(read_all(active, 99) == 5'000'000);
    const std::size_t read_out = sized<std::size_t>(2, kBodies, kBodies);
    for (std::size_t body = 0; body < read_out; ++body) {
      CHECK(read_all(responses[body], body) == kLarge);
    }
    responses.clear();
    REQUIRE(eventually([&] { return transport.client().stats().active == 0; }));
    CHECK(transport.client().stats().queue_memory == 0);
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("Client: readers at different paces all get their bytes", T, WEIR_TRANSPORTS) {
    T transport({.high_water = 131'072});
    std::vector<std::future<bool>> workers;
    for (std::uint64_t worker = 0; worker < 4; ++worker) {
      workers.push_back(std::async(std::launch::async, [&, worker] {
        Response response = transport.client().fetch(
            transport.url("/bytes/4000000?seed=" + std::to_string(worker)));
        Reader reader = response.body.reader();
        Seen seen;
        std::vector<std::byte> out(std::size_t{1'000} << (2 * worker));
        while (const auto count = reader.read_some(out)) {
          const Bytes bytes = Bytes(out).first(count);
          if (!seen.wrong) seen.wrong = harness::pattern::check(worker, seen.bytes, bytes);
          seen.bytes += count;
        }
        return seen == 4'000'000 && reader.stats().pauses == reader.stats().resumes;
      }));
    }
    for (auto& worker : workers) CHECK(worker.get());
    CHECK(balanced(transport.client().stats()));
  }
}
