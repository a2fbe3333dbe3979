#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backpressure/checked.hpp"
#include "backpressure/thread_time.hpp"
#include "backpressure/wire.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace std::chrono_literals;
using namespace weir;
using namespace weir::test;
using harness::Firehose;

namespace {

struct Row {
  std::string name;
  std::size_t count = 1;
  std::string path;            // of the bodies
  bool whole = false;          // the server gets rid of all of it
  std::size_t read_first = 0;  // bytes
};

void stay_quiet(Firehose& server, const Protocol& protocol, const Row& row) {
  CAPTURE(row.name);
  Client client(trusting(server, protocol));
  std::vector<Reader> readers;
  std::vector<Tally> tallies;
  for (std::size_t i = 0; i < row.count; ++i) {
    const std::string path = row.path + "&seed=" + std::to_string(i);
    readers.push_back(client.fetch(server.url(path)).body.reader());
    tallies.emplace_back(i);
    if (row.read_first > 0) tallies.back().read(readers.back(), row.read_first);
  }
  REQUIRE(wait_until_paused(client, row.count));
  let_pass(400ms);  // libcurl's timers of the first moments: those for a second address, 200 ms

  const auto time = sized(500ms, 1000ms, 3000ms);
  const ClientStats before = client.stats();
  const auto cpu_before = io_thread_time();
  let_pass(time);
  const auto cpu = io_thread_time() - cpu_before;
  const auto wakeups = client.stats().wakeups - before.wakeups;
  CHECK(client.stats().paused == row.count);
  if (!under_sanitizer()) {
    CHECK(wakeups * 1000 < 5 * static_cast<std::uint64_t>(time.count()));
    CHECK(cpu * 1000 < time);  // below 0.1 %
  }
  MESSAGE(row.name, ": ", wakeups, " wake-ups and ",
          std::chrono::duration_cast<std::chrono::microseconds>(cpu).count(), " us of CPU in ",
          time.count(), " ms");
  if (row.whole) {
    for (std::size_t i = 0; i < row.count; ++i) {
      tallies[i].read(readers[i]);
      CHECK(!tallies[i].wrong);
      CHECK(!tallies[i].error);
    }
    CHECK(client.stats().pauses == client.stats().resumes);
  }
}

}  // namespace

TEST_SUITE_BEGIN("backpressure");

TEST_CASE("While all bodies are paused the I/O thread rests") {
  for (const Protocol& protocol : kProtocols) {
    // Of unknown length: its last bytes and its end are held back as well, whatever the writes.
    const std::string tail =
        "/bytes/" + std::to_string(kUnreadHighWater + kOneWrite + kKiB) + "?chunked=1";
    for (const std::size_t count : {std::size_t{1}, std::size_t{50}}) {
      const std::string bodies = std::to_string(count) + (count == 1 ? " body" : " bodies");
      const std::string many = "/bytes/" + std::to_string(256 * kMiB) + "?chunked=0";
      Firehose server(protocol.server());
      stay_quiet(server, protocol, {bodies + " unread" + over(protocol), count, many});
      if (count == 1) continue;
      stay_quiet(server, protocol,
                 {bodies + " read a little" + over(protocol), count, many, false, 100'000});
    }
    for (const std::size_t count : {std::size_t{1}, std::size_t{50}}) {
      Firehose server(protocol.server());
      stay_quiet(
          server, protocol,
          {std::to_string(count) + " last chunks paused" + over(protocol), count, tail, true});
    }
  }
}

TEST_CASE("A reader that drains wakes the I/O thread at most once per half buffer") {
  const std::uint64_t size = sized<std::uint64_t>(64, 512, 2048) * kMiB;
  for (const Protocol& protocol : kProtocols) {
    Firehose server(protocol.server());
    for (const std::size_t read_size : {std::size_t{1000}, 64 * kKiB, kMiB}) {
      CAPTURE(read_size);
      const std::uint64_t length = read_size == 1000 ? size / 4 : size;
      Client client(trusting(server, protocol));
      Reader reader = client.fetch(server.url("/bytes/" + std::to_string(length))).body.reader();
      std::vector<std::byte> room(read_size);
      Tally tally;
      while (const std::size_t count = reader.read_some(room)) {
        tally.take(std::span(room).first(count));
      }
      CHECK(tally.is_whole(length));
      const ClientStats stats = client.stats();
      const std::uint64_t most = length / (kHighWater / 2) + 2;  // the first read, and the end
      CHECK(stats.credit_wakeups <= most);
      CHECK(stats.pauses == stats.resumes);
      MESSAGE("drained ", mib(length), over(protocol), " by ", read_size,
              " bytes: ", stats.credit_wakeups, " wake-ups for credit (at most ", most, "), ",
              stats.pauses, " pauses, ", stats.wakeups, " turns of the loop");
    }
  }
}

TEST_CASE("A pause and its resume cost the I/O thread less than 100 us") {
  const std::uint64_t size = sized<std::uint64_t>(16, 64, 256) * kMiB;
  for (const Protocol& protocol : kProtocols) {
    Firehose server(protocol.server());
    ClientOptions options;
    options.high_water = kOneWrite;  // a pause after each write or two
    Client client(trusting(server, protocol, options));
    Reader reader = client.fetch(server.url("/bytes/" + std::to_string(size))).body.reader();
    REQUIRE(wait_until_paused(client));
    const auto before = io_thread_time();
    CHECK(Tally().read(reader).is_whole(size));
    const auto cpu = io_thread_time() - before;  // moving the bytes included
    const std::uint64_t cycles = reader.stats().resumes;
    REQUIRE(cycles > 0);
    CHECK(reader.stats().pauses == cycles);
    const auto each = cpu / static_cast<std::int64_t>(cycles);
    if (!under_sanitizer()) CHECK(each < 100us);
    MESSAGE(cycles, " pauses and resumes", over(protocol), " over ", mib(size), ": ", each.count(),
            " ns of the I/O thread each, bytes included");
  }
}

TEST_CASE("A reader that keeps up never wakes the I/O thread") {
  const std::uint64_t size = sized<std::uint64_t>(1, 8, 64) * kMiB;
  for (const Protocol& protocol : kProtocols) {
    Firehose server(protocol.server());
    Client client(trusting(server, protocol));
    // Shorter than the unread mark each, so that no moment's delay can make them pause.
    const std::uint64_t length = kUnreadHighWater - kOneWrite;
    std::uint64_t bodies = 0;
    for (; bodies * length < size; ++bodies) {
      Reader reader = client.fetch(server.url("/bytes/" + std::to_string(length))).body.reader();
      CHECK(Tally().read(reader).is_whole(length));
    }
    CHECK(client.stats().pauses == 0);
    CHECK(client.stats().credit_wakeups == 0);
    // libcurl 7 cannot use such a connection again.
    const bool fresh =
        std::string_view(protocol.name) == "h2c" && client.stats().libcurl.starts_with("7.");
    CHECK(client.stats().connections_opened == (fresh ? bodies : 1));
    MESSAGE(bodies, " bodies never paused", over(protocol), ": ", client.stats().credit_wakeups,
            " wake-ups for credit");
  }
}

TEST_SUITE_END();
