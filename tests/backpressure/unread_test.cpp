#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
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

std::string path_of(std::uint64_t seed, std::uint64_t size) {
  return "/bytes/" + std::to_string(size) + "?seed=" + std::to_string(seed);
}

std::vector<Response> fetch_many(Client& client, const Firehose& server, std::size_t count,
                                 std::uint64_t size) {
  std::vector<Response> responses;
  for (std::size_t i = 0; i < count; ++i) {
    responses.push_back(client.fetch(server.url(path_of(i, size))));
  }
  return responses;
}

}  // namespace

TEST_SUITE_BEGIN("backpressure");

TEST_CASE("Many unread bodies hold one unread mark each, and all of them complete") {
  const std::size_t count = sized<std::size_t>(10, 50, 100);
  const std::uint64_t size = 16 * kMiB;  // longer than the kernel's buffers
  for (const Protocol& protocol : kProtocols) {
    CAPTURE(protocol.name);
    Firehose server(protocol.server(64 * static_cast<int>(kKiB)));
    Client client(trusting(server, protocol));
    std::vector<Response> responses = fetch_many(client, server, count, size);
    REQUIRE(server.wait_until_blocked({.bodies = count}, std::chrono::seconds(30)));

    const ClientStats stalled = client.stats();
    std::size_t most = 0;
    std::uint64_t queued = 0;
    for (Response& response : responses) {
      const BodyStats stats = response.body.stats();
      CHECK(stats.paused);
      most = std::max(most, stats.peak_queued);
      queued += stats.queued;
    }
    CHECK(most >= kUnreadHighWater);
    CHECK(most < kUnreadHighWater + kOneWrite);
    CHECK(stalled.paused == count);
    CHECK(stalled.queue_memory <= queued + count * 2 * kSlab);
    CHECK(stalled.active == count);
    MESSAGE(count, " unread bodies", over(protocol), ": at most ", most, " queued each, ",
            mib(queued), " in all, queue memory ", mib(stalled.queue_memory),
            ", server got rid of ", mib(server.stats().bytes_accepted));

    const std::size_t read_count = sized<std::size_t>(2, 10, count);
    for (std::size_t i = 0; i < read_count; ++i) {
      Reader reader = responses[i].body.reader();
      CHECK(Tally(i).read(reader).is_whole(size));
    }
    responses.clear();
    REQUIRE(server.wait_for([](const auto& now) { return now.connections_open <= 100; }));
    const ClientStats end = client.stats();
    CHECK(end.queue_memory == 0);
    CHECK(balanced(end));
  }
}

TEST_CASE("An unread body goes on with its first read, whatever its form") {
  const std::uint64_t size = 16 * kMiB;
  Firehose server;
  Client client;
  for (const int form : {0, 1, 2, 3}) {
    CAPTURE(form);
    Response response = client.fetch(server.url(path_of(9, size)));
    REQUIRE(server.wait_until_blocked());
    const std::uint64_t accepted = server.stats().bodies.back().bytes_accepted;
    const std::uint64_t before = response.body.stats().received;
    CHECK(before < kUnreadHighWater + kOneWrite);
    Reader reader = response.body.reader();
    CHECK(reader.stats().received == before);
    Tally tally(9);
    std::vector<std::byte> room(1);
    switch (form) {
      case 0: tally.take(reader.read()); break;
      case 1: tally.take(reader.try_read().chunk.bytes()); break;
      case 2: tally.take(std::span(room).first(reader.read_some(room))); break;
      default: tally.take(std::span(room).first(reader.read_exactly(room))); break;
    }
    CHECK(tally.bytes >= 1);
    // Nothing else is read: what comes now, comes for the first read.
    REQUIRE(server.wait_for(
        [&](const auto& now) { return now.bodies.back().bytes_accepted > accepted; }));
    REQUIRE(server.wait_until_blocked());
    const BodyStats stats = reader.stats();
    CHECK(stats.received > before);
    CHECK(stats.peak_queued >= kHighWater);
    CHECK(stats.peak_queued < kHighWater + kOneWrite);
    CHECK(tally.read(reader).is_whole(size));
    CHECK(reader.stats().pauses == reader.stats().resumes);
  }
}

TEST_SUITE_END();
