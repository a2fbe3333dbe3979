#include "weir/harness/slow_reader.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace std::chrono_literals;
using namespace weir;
using namespace weir::harness;

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kHighWater = 4 * kMiB;
constexpr std::uint64_t kUnread = kMiB / 4;
constexpr std::uint64_t kOneWrite = 16 * 1024;  // what may come on top of a mark

struct Fixture {
  Firehose server;
  Client client;

  SlowReaderReport read(const std::string& path, const SlowReaderOptions& options = {}) {
    Response response = client.fetch(server.url(path));
    return slow_read(client, std::move(response.body), options);
  }
  bool gone(const std::string& path) const {
    return server.wait_for([&](const FirehoseStats& stats) {
      const BodyRecord* const body = stats.find(path);
      return body != nullptr && body->state == BodyState::vanished;
    });
  }
};

}  // namespace

TEST_SUITE("harness") {
  TEST_CASE_FIXTURE(Fixture, "slow_read: reads a body to its end and digests it") {
    const SlowReaderReport report = read("/bytes/1000000?seed=3");
    CHECK_FALSE(report.failure);
    CHECK_FALSE(report.cancelled);
    CHECK(report.bytes == 1'000'000);
    CHECK(report.sha256 == pattern::sha256(3, 0, 1'000'000));
    CHECK(report.body.drained == 1'000'000);
    CHECK(report.body.received == 1'000'000);
    CHECK(report.elapsed > 0ns);
    CHECK(report.stalled_for == 0ns);
    CHECK(report.client.requests == 1);
    CHECK(report.client.bytes_received == 1'000'000);
  }

  TEST_CASE_FIXTURE(Fixture, "slow_read: an empty body has the digest of nothing") {
    const SlowReaderReport report = read("/bytes/0");
    CHECK(report.bytes == 0);
    CHECK(report.sha256 == pattern::sha256(0, 0, 0));
  }

  TEST_CASE_FIXTURE(Fixture, "slow_read: there is no digest where none is wanted") {
    SlowReaderOptions options;
    options.sha256 = false;
    CHECK(read("/bytes/1000", options).sha256.empty());
  }

  TEST_CASE_FIXTURE(Fixture,
                    "slow_read: the sink gets every byte in order, in pieces of read_size") {
    for (const std::size_t read_size : std::vector<std::size_t>{0, 1, 1000, 100'000}) {
      CAPTURE(read_size);
      std::uint64_t offset = 0;
      std::size_t largest = 0;
      std::optional<std::uint64_t> wrong;
      SlowReaderOptions options;
      options.read_size = read_size;
      options.sink = [&](Bytes bytes) {
        if (!wrong) wrong = pattern::check(5, offset, bytes);
        offset += bytes.size();
        largest = std::max(largest, bytes.size());
      };
      CHECK(read("/bytes/50000?seed=5", options).bytes == 50'000);
      CHECK(offset == 50'000);
      CHECK_FALSE(wrong);
      if (read_size > 0) CHECK(largest <= read_size);
    }
  }

  TEST_CASE_FIXTURE(Fixture,
                    "slow_read: a stall begins after exactly as many bytes, and ends well") {
    const std::uint64_t size = weir::test::sized<std::uint64_t>(16, 64, 256) * kMiB;
    const std::string path = "/bytes/" + std::to_string(size);
    const std::uint64_t after = 5 * kMiB + 1;
    int stalls = 0;
    bool blocked = false;
    SlowReaderOptions options;
    options.stall_after = after;
    options.on_stall = [&] {
      ++stalls;
      blocked = server.wait_until_blocked({.bytes = after});
    };
    const SlowReaderReport report = read(path, options);
    CHECK(stalls == 1);
    CHECK(blocked);
    CHECK(report.at_stall.drained == after);
    CHECK(report.at_stall.paused);
    CHECK(report.at_stall.queued <= kHighWater + kOneWrite);
    CHECK(report.body.peak_queued <= kHighWater + 2 * kOneWrite);  // the last one always fits
    CHECK(report.body.pauses >= 1);
    CHECK(report.body.pauses == report.body.resumes);
    CHECK(report.stalled_for > 0ns);
    CHECK(report.stalled_for < report.elapsed);
    CHECK_FALSE(report.failure);
    CHECK(report.bytes == size);
    CHECK(report.sha256 == pattern::sha256(0, 0, size));
  }

  TEST_CASE_FIXTURE(Fixture, "slow_read: a stall after 0 bytes comes before the first read") {
    bool blocked = false;
    SlowReaderOptions options;
    options.stall_after = 0;
    options.on_stall = [&] { blocked = server.wait_until_blocked(); };
    const SlowReaderReport report = read("/bytes/20000000", options);
    CHECK(blocked);
    CHECK(report.at_stall.drained == 0);
    CHECK(report.at_stall.queued >= kUnread);
    CHECK(report.at_stall.queued <= kUnread + kOneWrite);
    CHECK(report.bytes == 20'000'000);
  }

  TEST_CASE_FIXTURE(Fixture, "slow_read: a stall lasts no less than it should") {
    SlowReaderOptions options;
    options.stall_after = 10;
    options.stall_for = 30ms;
    const SlowReaderReport report = read("/bytes/1000", options);
    CHECK(report.at_stall.drained == 10);
    CHECK(report.stalled_for >= 30ms);
  }

  TEST_CASE_FIXTURE(Fixture, "slow_read: a body that ends before the stall does not stall") {
    SlowReaderOptions options;
    options.stall_after = 1001;
    options.stall_for = std::chrono::hours(1);
    const SlowReaderReport report = read("/bytes/1000", options);
    CHECK(report.bytes == 1000);
    CHECK(report.stalled_for == 0ns);
  }

  TEST_CASE_FIXTURE(Fixture,
                    "slow_read: cancels after exactly as many bytes, which is no failure") {
    for (const std::uint64_t after : {std::uint64_t{0}, std::uint64_t{1}, kMiB, 3 * kMiB + 5}) {
      CAPTURE(after);
      const std::string path = "/bytes/1000000000?tag=" + std::to_string(after);
      SlowReaderOptions options;
      options.cancel_after = after;
      const SlowReaderReport report = read(path, options);
      CHECK(report.cancelled);
      CHECK_FALSE(report.failure);
      CHECK(report.bytes == after);
      CHECK(report.sha256 == pattern::sha256(0, 0, after));
      CHECK(gone(path));
    }
  }

  TEST_CASE_FIXTURE(Fixture,
                    "slow_read: a stall and a cancel after the same bytes cancel a paused body") {
    bool blocked = false;
    SlowReaderOptions options;
    options.stall_after = options.cancel_after = kMiB;
    options.on_stall = [&] { blocked = server.wait_until_blocked({.bytes = kMiB}); };
    const SlowReaderReport report = read("/bytes/1000000000", options);
    CHECK(blocked);
    CHECK(report.at_stall.paused);
    CHECK(report.cancelled);
    CHECK(report.bytes == kMiB);
    CHECK(gone("/bytes/1000000000"));
    const ClientStats stats = client.stats();
    CHECK(stats.pauses == stats.resumes + stats.cancelled_while_paused + stats.paused);
  }

  TEST_CASE_FIXTURE(Fixture, "slow_read: a body that ends before the cancel is not cancelled") {
    SlowReaderOptions options;
    options.cancel_after = 1001;
    const SlowReaderReport report = read("/bytes/1000", options);
    CHECK_FALSE(report.cancelled);
    CHECK(report.bytes == 1000);
  }

  TEST_CASE_FIXTURE(Fixture, "slow_read: reports what ended a body early, and the bytes before") {
    const SlowReaderReport report = read("/bytes/100000?cut_after=60000");
    REQUIRE(report.failure);
    CHECK(report.failure->code == errc::truncated);
    CHECK(report.bytes == 60'000);
    CHECK(report.sha256 == pattern::sha256(0, 0, 60'000));
  }

  TEST_CASE_FIXTURE(Fixture, "slow_read: a body that was taken before is a failure") {
    Response response = client.fetch(server.url("/bytes/10"));
    CHECK(response.text().size() == 10);
    const SlowReaderReport report = slow_read(client, std::move(response.body));
    REQUIRE(report.failure);
    CHECK(report.failure->code == errc::body_used);
    CHECK(report.client.requests == 1);
  }

  TEST_CASE_FIXTURE(Fixture,
                    "slow_read: what the sink throws passes through and cancels the body") {
    SlowReaderOptions options;
    SUBCASE("anything") {
      options.sink = [](Bytes) { throw std::out_of_range("full"); };
      CHECK_THROWS_AS(read("/bytes/1000000000", options), std::out_of_range);
    }
    SUBCASE("an Error, which is not the body's") {
      options.sink = [](Bytes) { throw Error({.code = errc::too_large}); };
      CHECK_THROWS_AS(read("/bytes/1000000000", options), Error);
    }
    CHECK(gone("/bytes/1000000000"));
  }

  TEST_CASE_FIXTURE(Fixture, "slow_read: a stop ends a stall at once, and cancels") {
    std::stop_source stop;
    SlowReaderOptions options;
    options.stop = stop.get_token();
    options.stall_after = 1000;
    options.stall_for = std::chrono::hours(1);
    options.on_stall = [&] { stop.request_stop(); };
    const SlowReaderReport report = read("/bytes/1000000000", options);
    REQUIRE(report.failure);
    CHECK(report.failure->code == errc::aborted);
    CHECK(report.bytes == 1000);
    CHECK(gone("/bytes/1000000000"));
  }

  TEST_CASE_FIXTURE(Fixture, "slow_read: a stop ends a read that waits for bytes") {
    const std::string path = "/bytes/1000?stall_after=500";
    std::stop_source stop;
    SlowReaderOptions options;
    options.stop = stop.get_token();
    std::promise<void> half;
    options.sink = [&, read = std::uint64_t{0}](Bytes bytes) mutable {
      read += bytes.size();
      if (read == 500) half.set_value();
    };
    auto stopping = std::async(std::launch::async, [&] {
      half.get_future().wait();
      return stop.request_stop();
    });
    const SlowReaderReport report = read(path, options);
    CHECK(stopping.get());
    REQUIRE(report.failure);
    CHECK(report.failure->code == errc::aborted);
    CHECK(report.bytes == 500);
  }

  TEST_CASE_FIXTURE(Fixture, "slow_read: a stop from before reads nothing") {
    std::stop_source stop;
    stop.request_stop();
    SlowReaderOptions options;
    options.stop = stop.get_token();
    const SlowReaderReport report = read("/bytes/1000000", options);
    REQUIRE(report.failure);
    CHECK(report.failure->code == errc::aborted);
    CHECK(report.bytes == 0);
  }

  TEST_CASE_FIXTURE(Fixture, "slow_read: a rate is not exceeded, and comes in small steps") {
    std::size_t largest = 0;
    SlowReaderOptions options;
    options.rate = 1'000'000;
    options.sink = [&](Bytes bytes) { largest = std::max(largest, bytes.size()); };
    const SlowReaderReport report = read("/bytes/200000", options);
    CHECK(report.bytes == 200'000);
    CHECK(largest <= 50'000);
    CHECK(report.elapsed >= 145ms);  // one step of 50 ms may be caught up
    CHECK(report.sha256 == pattern::sha256(0, 0, 200'000));
  }

  TEST_CASE_FIXTURE(Fixture, "slow_read: the watch sees the stall and the end") {
    std::uint64_t calls = 0;
    bool seen_stalled = false;
    BodyStats last;
    SlowReaderOptions options;
    options.stall_after = 1000;
    options.stall_for = 120ms;
    options.watch = [&](const BodyStats& stats) {
      ++calls;
      seen_stalled = seen_stalled || stats.drained == 1000;
      last = stats;
    };
    const SlowReaderReport report = read("/bytes/100000", options);
    CHECK(calls >= 3);  // begin of the stall, once during it, end
    CHECK(seen_stalled);
    CHECK(last.drained == 100'000);
    CHECK(report.body.drained == 100'000);
  }
}
