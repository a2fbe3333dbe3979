#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "stress/io_thread.hpp"
#include "support/size.hpp"

using namespace weir;
using namespace weir::test;
using flow::Channel;
using flow::Wait;
using flow::Watermarks;

namespace {

constexpr std::size_t kKiB = 1024;

struct Outcome {
  std::uint64_t bytes = 0;
  bool intact = true;
  bool sane = true;  // stats never absurd
  std::optional<errc> error;
};

/// Reads to the end with all forms of read mixed; stalls now and then, by doing other work.
Outcome read_all(Channel& channel, Watermarks marks, std::uint64_t seed) {
  Outcome outcome;
  std::mt19937_64 random(seed);
  try {
    channel.wait_open(Wait::for_ever());
    for (;;) {
      const std::size_t max = random() % 8 == 0 ? 1 + random() % 100 : 1 + random() % (64 * kKiB);
      Wait wait = Wait::for_ever();
      if (random() % 8 == 0) wait = Wait::never();
      if (random() % 8 == 0) wait.deadline = std::chrono::steady_clock::now();
      const ReadResult result = channel.take(max, wait);
      if (result.status == ReadStatus::end) break;
      const auto bytes = result.chunk.bytes();
      outcome.intact = outcome.intact && !harness::pattern::check(1, outcome.bytes, bytes);
      outcome.bytes += bytes.size();
      const BodyStats stats = channel.stats();
      outcome.sane = outcome.sane && stats.queued <= marks.high + Channel::kOneWrite &&
                     stats.drained + stats.queued == stats.received &&
                     stats.paused_for.count() >= 0;
      if (random() % 64 == 0) std::this_thread::yield();
    }
  } catch (const Error& error) {
    outcome.error = static_cast<errc>(error.code().value());
  }
  return outcome;
}

}  // namespace

TEST_SUITE_BEGIN("stress");

TEST_CASE("Channel: bodies of all sizes of marks arrive whole while all threads run") {
  const std::uint64_t total = sized(2000u, 16000u, 100000u) * kKiB;
  struct Row {
    Watermarks marks;
    std::size_t budget;
  };
  const Row rows[] = {{{4096 * kKiB, 1024 * kKiB, 256 * kKiB}, 65536 * kKiB},
                      {{64 * kKiB, 16 * kKiB, 4 * kKiB}, 65536 * kKiB},
                      {{8 * kKiB, 8 * kKiB - 1, 1}, 65536 * kKiB},
                      {{1, 1, 1}, 65536 * kKiB},
                      {{4096 * kKiB, 1024 * kKiB, 256 * kKiB}, 512 * kKiB},
                      {{4096 * kKiB, 1024 * kKiB, 256 * kKiB}, 1}};
  for (const Row& row : rows) {
    CAPTURE(row.marks.high);
    CAPTURE(row.budget);
    constexpr std::size_t kBodies = 6;
    IoThread io(row.budget, total);
    std::vector<std::shared_ptr<Channel>> channels;
    for (std::size_t i = 0; i < kBodies; ++i) {
      channels.push_back(std::make_shared<Channel>(io.hub, row.marks));
    }
    io.start(channels);
    std::vector<std::future<Outcome>> readers;
    for (std::size_t i = 0; i < kBodies; ++i) {
      readers.push_back(
          std::async(std::launch::async, [&, i] { return read_all(*channels[i], row.marks, i); }));
    }
    for (auto& reader : readers) {
      const Outcome outcome = reader.get();
      CHECK_FALSE(outcome.error);
      CHECK(outcome.bytes == total);
      CHECK(outcome.intact);
      CHECK(outcome.sane);
    }
    io.stop();
    CHECK(io.wrong == 0);
    const auto stats = io.hub->stats();
    CHECK(stats.bytes_received == kBodies * total);
    CHECK(stats.paused == 0);
    CHECK(io.hub->budget.waiters() == 0);
    channels.clear();
    CHECK(io.hub->budget.held() == 0);
    CHECK(stats.peak_queue_memory <=
          row.budget + kBodies * (Channel::kOneWrite + 2 * detail::Slab::kLargest));
  }
}

TEST_CASE("Channel: cancels at any moment leave no memory, no waiter and no second telling") {
  const int rounds = sized(60, 200, 3000);
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    constexpr std::size_t kBodies = 4;
    const Watermarks marks{16 * kKiB, 4 * kKiB, 8 * kKiB};
    IoThread io(round % 2 == 0 ? 64 * kKiB : 65536 * kKiB, 1u << 30);
    std::vector<std::shared_ptr<Channel>> channels;
    for (std::size_t i = 0; i < kBodies; ++i) {
      channels.push_back(std::make_shared<Channel>(io.hub, marks));
    }
    io.start(channels);
    std::vector<std::future<Outcome>> readers;
    for (std::size_t i = 0; i < kBodies; ++i) {
      readers.push_back(
          std::async(std::launch::async, [&, i] { return read_all(*channels[i], marks, i); }));
    }
    // The last one is cancelled by two threads at once, after about so many bytes.
    const std::uint64_t after = static_cast<std::uint64_t>(round) * 997 % 300'000;
    std::vector<std::future<void>> cancellers;
    for (const std::size_t which : {0u, 1u, 2u, 3u, 3u}) {
      cancellers.push_back(std::async(std::launch::async, [&, which] {
        while (channels[which]->stats().received < after) std::this_thread::yield();
        channels[which]->cancel();
      }));
    }
    for (auto& canceller : cancellers) canceller.get();
    for (auto& reader : readers) {
      const Outcome outcome = reader.get();
      CHECK(outcome.error == errc::aborted);
      CHECK(outcome.intact);
    }
    io.stop();
    CHECK(io.wrong == 0);
    CHECK(io.cancelled <= static_cast<int>(kBodies));
    CHECK(io.hub->stats().paused == 0);
    CHECK(io.hub->budget.waiters() == 0);
    channels.clear();
    CHECK(io.hub->budget.held() == 0);
  }
}

TEST_CASE("Channel: the I/O thread ends among readers, and each is told") {
  // Transports that go without a word are not this layer's to repair: so they fail first.
  const int rounds = sized(60, 100, 1000);
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    const Watermarks marks{16 * kKiB, 4 * kKiB, 8 * kKiB};
    const auto hub = std::make_shared<BellHub>(std::size_t{1} << 20, detail::Clock::steady());
    std::vector<std::shared_ptr<Channel>> channels;
    for (int i = 0; i < 4; ++i) channels.push_back(std::make_shared<Channel>(hub, marks));
    std::vector<std::future<Outcome>> readers;
    for (const auto& channel : channels) {
      readers.push_back(
          std::async(std::launch::async, [&] { return read_all(*channel, marks, 1); }));
    }
    hub->io.acquire();
    {
      std::vector<std::unique_ptr<PatternSource>> sources;
      for (const auto& channel : channels) {
        sources.push_back(std::make_unique<PatternSource>(channel, 1u << 30, 1));
      }
      for (int turn = 0; turn < round; ++turn) {
        hub->silence(true);
        hub->process();
        for (auto& source : sources) {
          if (!source->paused()) source->pump(2);
        }
        hub->flush();
      }
      for (const auto& channel : channels) {
        channel->fail({.code = errc::aborted, .detail = "the end", .url = {}});
      }
    }
    hub->close();
    hub->io.release();
    for (auto& reader : readers) {
      const Outcome outcome = reader.get();
      CHECK(outcome.error == errc::aborted);
      CHECK(outcome.intact);
    }
    CHECK(hub->stats().paused == 0);
    channels.clear();
    CHECK(hub->budget.held() == 0);
  }
}

TEST_SUITE_END();
