#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "backpressure/checked.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;
using harness::Firehose;

namespace {

struct Row {
  std::string name;
  std::size_t high = kHighWater;
  std::size_t low = kMiB;
  std::size_t unread = kUnreadHighWater;
  std::size_t budget = 64 * kMiB;
  std::size_t mark = kHighWater;  // at which a body stops once it is read
  std::uint64_t size = 0;         // of the body
  std::size_t slack = kOneWrite;  // above the mark
  std::size_t most = 0;           // once much of it was read; 0: the mark
};

// Waits until the body is paused, reads one Chunk, waits until it is paused again, and reads on.
void stall_at_mark(Firehose& server, const Protocol& protocol, const Row& row) {
  CAPTURE(row.name);
  ClientOptions options;
  options.high_water = row.high;
  options.low_water = row.low;
  options.unread_high_water = row.unread;
  options.memory_budget = row.budget;
  Client client(trusting(server, protocol, options));
  Response response = client.fetch(server.url("/bytes/" + std::to_string(row.size) + "?seed=3"));
  Reader reader = response.body.reader();
  REQUIRE(wait_until_paused(client));
  const std::size_t unread_mark = std::min({row.unread, row.high, row.mark});
  CHECK(reader.stats().peak_queued >= unread_mark);
  CHECK(reader.stats().peak_queued < unread_mark + kOneWrite);

  const std::uint64_t accepted = server.stats().bodies.back().bytes_accepted;
  Tally tally(3);
  tally.read(reader, 1);
  if (unread_mark < row.mark) {  // there was room at once, and the server uses it
    REQUIRE(server.wait_for(
        [&](const auto& now) { return now.bodies.back().bytes_accepted > accepted; }));
  }
  REQUIRE(wait_until_paused(client));
  const BodyStats stalled = reader.stats();
  CHECK(stalled.peak_queued >= row.mark);
  CHECK(stalled.peak_queued < row.mark + row.slack);
  tally.read(reader);
  CHECK(tally.is_whole(row.size));
  const BodyStats end = reader.stats();
  // The last write comes on top.
  CHECK(end.peak_queued < std::max(row.mark, row.most) + row.slack + kOneWrite);
  CHECK(end.pauses == end.resumes);
  CHECK(end.pauses >= 1);
  CHECK(client.stats().queue_memory == 0);
  MESSAGE(row.name, ": stalled at ", stalled.queued, ", peak_queued ", end.peak_queued, ", pauses ",
          end.pauses);
}

// The ways to read, each returning the bytes it got, 0 at the end.
using Read = std::function<std::size_t(Reader&, Tally&)>;

Read chunks() {
  return [](Reader& reader, Tally& tally) {
    const auto chunk = reader.read();
    tally.take(chunk);
    return chunk ? chunk->size() : 0;
  };
}

Read tries() {
  return [](Reader& reader, Tally& tally) -> std::size_t {
    while (true) {
      const ReadResult result = reader.try_read();
      if (result.status == ReadStatus::end) return 0;
      if (result.status == ReadStatus::pending) {
        std::this_thread::yield();
        continue;
      }
      tally.take(result.chunk.bytes());
      return result.chunk.size();
    }
  };
}

Read some(std::size_t size) {
  return [room = std::vector<std::byte>(size)](Reader& reader, Tally& tally) mutable {
    const std::size_t count = reader.read_some(room);
    tally.take(std::span(room).first(count));
    return count;
  };
}

Read exactly(std::size_t size) {
  return [room = std::vector<std::byte>(size)](Reader& reader, Tally& tally) mutable {
    const std::size_t count = reader.read_exactly(room);
    tally.take(std::span(room).first(count));
    return count;
  };
}

struct Pace {
  std::string name;
  std::uint64_t size;  // of the body
  Read read;
  int turns = 0;  // given away between two reads
};

void read_slowly(Firehose& server, const Protocol& protocol, std::size_t high, Pace pace) {
  CAPTURE(pace.name);
  CAPTURE(high);
  ClientOptions options;
  options.high_water = high;
  Client client(trusting(server, protocol, options));
  Response response = client.fetch(server.url("/bytes/" + std::to_string(pace.size) + "?seed=5"));
  Reader reader = response.body.reader();
  Tally tally(5);
  std::uint64_t looks = 0;
  {
    QueueWatch watch(reader);
    while (pace.read(reader, tally) > 0) {
      for (int i = 0; i < pace.turns; ++i) std::this_thread::yield();
    }
    CHECK(tally.is_whole(pace.size));
    CHECK(watch.peak() < high + kLastWrites);
    CHECK(watch.agrees());
    looks = watch.looks();
  }
  const BodyStats end = reader.stats();
  CHECK(end.peak_queued < high + kLastWrites);
  CHECK(end.pauses == end.resumes);
  CHECK(end.drained == pace.size);
  CHECK(balanced(client.stats()));
  CHECK(client.stats().queue_memory == 0);
  MESSAGE(pace.name, ", high ", high, ": peak_queued ", end.peak_queued, ", pauses ", end.pauses,
          ", wake-ups for credit ", client.stats().credit_wakeups, ", looked at ", looks, " times");
}

}  // namespace

TEST_SUITE_BEGIN("backpressure");

TEST_CASE("Odd watermarks hold a body at their mark and let all of it through") {
  const auto above_kernel = sized<std::uint64_t>(40, 48, 128) * kMiB;
  const std::array rows = {
      Row{.name = "high 1", .high = 1, .mark = 1, .size = above_kernel / 4},
      Row{.name = "high 1000, below one write",
          .high = 1000,
          .mark = 1000,
          .size = above_kernel / 4},
      Row{.name = "high 16K", .high = 16 * kKiB, .mark = 16 * kKiB, .size = above_kernel / 4},
      Row{.name = "low 1", .low = 1, .size = above_kernel},
      Row{.name = "low just below high", .low = kHighWater - 1, .size = above_kernel},
      Row{.name = "unread above high",
          .high = 64 * kKiB,
          .unread = kMiB,
          .mark = 64 * kKiB,
          .size = above_kernel},
      Row{.name = "unread 1", .unread = 1, .size = above_kernel},
      Row{.name = "high 100M, budget 64M",
          .high = 100 * kMiB,
          .mark = 56 * kMiB / 9 - 2 * kSlab,  // without the last eighth
          .size = above_kernel,
          .slack = 2 * kSlab + kOneWrite,
          .most = 64 * kMiB / 9 + 2 * kSlab},
      Row{.name = "high 100M, budget 2G",
          .high = 100 * kMiB,
          .budget = 2048 * kMiB,
          .mark = 100 * kMiB,
          .size = 100 * kMiB + above_kernel},
  };
  for (const Protocol& protocol : kProtocols) {
    CAPTURE(protocol.name);
    Firehose server(protocol.server());
    for (const Row& row : rows) stall_at_mark(server, protocol, row);
  }
}

TEST_CASE("A large body read slowly stays below its mark at every moment") {
  const std::uint64_t size = sized<std::uint64_t>(4, 32, 256) * kMiB;
  for (const Protocol& protocol : kProtocols) {
    CAPTURE(protocol.name);
    Firehose server(protocol.server());
    for (const std::size_t high : {64 * kKiB, kHighWater}) {
      read_slowly(server, protocol, high, {"read", size, chunks(), 20});
      read_slowly(server, protocol, high, {"try_read", size, tries(), 20});
      read_slowly(server, protocol, high, {"read_some, 100 bytes", size / 32, some(100)});
      read_slowly(server, protocol, high, {"read_some, 64 KiB", size, some(64 * kKiB), 20});
      read_slowly(server, protocol, high, {"read_exactly, 1 MiB", size, exactly(kMiB), 50});
      read_slowly(server, protocol, high, {"read_exactly, 777 bytes", size / 8, exactly(777)});
    }
    read_slowly(server, protocol, kHighWater,
                {"read_some, 1 byte", sized<std::uint64_t>(1, 4, 8) * kMiB / 8, some(1)});
  }
}

TEST_SUITE_END();
