#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "backpressure/checked.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;
using harness::Firehose;

namespace {

struct OpenBody {
  Reader reader;
  Tally tally;
};

// A slab of one write with its header.
constexpr std::size_t kOneSlab = kOneWrite + 64;

// `count` bodies, each read a little and then left alone.
std::vector<OpenBody> open_many(Client& client, const Firehose& server, std::size_t count,
                                std::uint64_t size) {
  std::vector<OpenBody> bodies;
  for (std::size_t i = 0; i < count; ++i) {
    Response response =
        client.fetch(server.url("/bytes/" + std::to_string(size) + "?seed=" + std::to_string(i)));
    bodies.push_back({response.body.reader(), Tally(i)});
    bodies.back().tally.read(bodies.back().reader, 1);
  }
  return bodies;
}

}  // namespace

TEST_SUITE_BEGIN("backpressure");

TEST_CASE("A hundred stalled bodies share the memory budget, and each completes when it is read") {
  const std::size_t count = sized<std::size_t>(40, 100, 100);
  const std::size_t budget = sized<std::size_t>(16, 64, 64) * kMiB;
  const std::uint64_t size = sized<std::uint64_t>(3, 8, 32) * kMiB;
  for (const Protocol& protocol : kProtocols) {
    CAPTURE(protocol.name);
    Firehose server(protocol.server(64 * static_cast<int>(kKiB)));
    ClientOptions options = trusting(server, protocol);
    if (test_size() == Size::small) options.memory_budget = budget;
    CHECK(options.memory_budget == budget);
    Client client(options);
    std::vector<OpenBody> bodies = open_many(client, server, count, size);
    REQUIRE(wait_until_paused(client, count));
    const ClientStats stalled = client.stats();
    CHECK(stalled.queue_memory <= budget + count * kOneWrite);
    CHECK(stalled.queue_memory > budget / 2);
    std::size_t least = kHighWater;
    std::size_t most = 0;
    for (const OpenBody& body : bodies) {
      least = std::min(least, body.reader.stats().queued);
      most = std::max(most, body.reader.stats().queued);
    }

    // One Chunk at a time from any of them: a body that waited for another one would hang.
    std::mt19937 random(11);
    std::vector<std::size_t> open(count);
    for (std::size_t i = 0; i < count; ++i) open[i] = i;
    while (!open.empty()) {
      const std::size_t place = random() % open.size();
      OpenBody& body = bodies[open[place]];
      if (body.tally.take(body.reader.read())) continue;
      CHECK(body.tally.is_whole(size));
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(place));
    }
    const ClientStats end = client.stats();
    CHECK(end.peak_queue_memory <= budget + count * kOneWrite);
    CHECK(end.queue_memory == 0);
    CHECK(end.paused == 0);
    CHECK(end.pauses == end.resumes);
    MESSAGE(count, " stalled bodies", over(protocol), ": queue memory ", mib(stalled.queue_memory),
            " stalled, ", mib(end.peak_queue_memory), " peak, budget ", mib(budget),
            "; queued each ", least, " to ", most, "; pauses ", end.pauses,
            ", wake-ups for credit ", end.credit_wakeups);
  }
}

TEST_CASE("Stalled bodies leave memory for one that is read") {
  const std::size_t count = sized<std::size_t>(40, 100, 100);
  const std::uint64_t size = sized<std::uint64_t>(16, 128, 1024) * kMiB;
  Firehose server({.send_buffer = 64 * static_cast<int>(kKiB)});
  ClientOptions options;
  const std::size_t budget = options.memory_budget;
  Client client(options);
  std::vector<OpenBody> stalled = open_many(client, server, count, 16 * kMiB);
  REQUIRE(wait_until_paused(client, count));

  Response response = client.fetch(server.url("/bytes/" + std::to_string(size) + "?seed=1000"));
  Reader active = response.body.reader();
  CHECK(Tally(1000).read(active).is_whole(size));
  const BodyStats stats = active.stats();
  CHECK(stats.peak_queued >= kOneWrite);
  CHECK(stats.peak_queued < kHighWater + kOneWrite);
  CHECK(stats.pauses == stats.resumes);
  CHECK(client.stats().paused == count);
  CHECK(client.stats().peak_queue_memory <= budget + (count + 1) * kOneWrite);
  MESSAGE("active body of ", mib(size), " beside ", count, " stalled ones: peak_queued ",
          stats.peak_queued, ", pauses ", stats.pauses);
  for (OpenBody& body : stalled) body.reader.cancel();
}

TEST_CASE("Among a hundred bodies that share the budget, each gets its turn while the rest stall") {
  constexpr auto kTurn = std::chrono::seconds(2);
  const std::size_t count = sized<std::size_t>(40, 100, 100);
  const std::uint64_t step = 256 * kKiB;
  Firehose server({.send_buffer = 64 * static_cast<int>(kKiB)});
  Client client;
  const std::size_t budget = ClientOptions().memory_budget;
  std::vector<OpenBody> bodies = open_many(client, server, count, 8 * kMiB);
  REQUIRE(wait_until_paused(client, count));
  for (int round = 0; round < sized(1, 2, 8); ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      CAPTURE(i);
      OpenBody& body = bodies[(i * 37) % count];
      const std::uint64_t until = body.tally.bytes + step;
      while (body.tally.bytes < until) {
        const ReadResult result = body.reader.read_until(std::chrono::steady_clock::now() + kTurn);
        REQUIRE(result.status == ReadStatus::data);
        body.tally.take(result.chunk.bytes());
      }
      CHECK_FALSE(body.tally.wrong);
    }
  }
  CHECK(client.stats().peak_queue_memory <= budget + count * kOneWrite);
  for (OpenBody& body : bodies) CHECK(body.tally.read(body.reader).is_whole(8 * kMiB));
}

TEST_CASE("A budget below one write still lets many bodies through one after the other") {
  const std::size_t count = sized<std::size_t>(10, 40, 100);
  const std::uint64_t size = 4 * kMiB;
  Firehose server({.send_buffer = 64 * static_cast<int>(kKiB)});
  ClientOptions options;
  options.memory_budget = 1;
  Client client(options);
  std::vector<OpenBody> bodies = open_many(client, server, count, size);
  REQUIRE(wait_until_paused(client, count));
  // One write each, and the one that was taken and is not given back before the next read.
  CHECK(client.stats().queue_memory <= 1 + count * 2 * kOneSlab);
  for (std::size_t i = count; i-- > 0;) {
    CHECK(bodies[i].tally.read(bodies[i].reader).is_whole(size));
    // One write to begin with, one that crosses the mark, and the last, which is never paused.
    CHECK(bodies[i].reader.stats().peak_queued <= 3 * kOneWrite);
  }
  // And the last write of the one that is being read.
  CHECK(client.stats().peak_queue_memory <= 1 + (count * 2 + 1) * kOneSlab);
  CHECK(client.stats().pauses == client.stats().resumes);
}

TEST_SUITE_END();
