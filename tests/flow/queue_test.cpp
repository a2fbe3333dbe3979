#include "flow/queue.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/failing_new.hpp"
#include "support/scheduled_atomics.hpp"
#include "support/size.hpp"
#include "support/sweep.hpp"

using namespace weir;
using namespace weir::test;
using detail::Slab;
using detail::SlabPool;

namespace {

struct PoolRelease {
  void operator()(SlabPool* pool) const noexcept { pool->release(); }
};
using Pool = std::unique_ptr<SlabPool, PoolRelease>;

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

template <class Queue>
std::size_t append(Queue& queue, std::string_view text, SlabPool& pool, std::size_t queued = 0) {
  const std::size_t added = queue.prepare(text.size(), queued, pool);
  queue.commit(bytes_of(text));
  return added;
}

template <class Queue>
std::string take_all(Queue& queue, std::size_t max = static_cast<std::size_t>(-1)) {
  std::string all;
  for (;;) {
    const Chunk chunk = queue.take(max);
    if (chunk.empty()) return all;
    all += chunk.text();
  }
}

char pattern(std::uint64_t at) { return static_cast<char>(at * 2654435761u >> 13); }

}  // namespace

TEST_SUITE_BEGIN("flow");

TEST_CASE("SlabQueue: bytes come out in order, whatever the sizes in and out") {
  const std::string text = "in the middle of the night the river weir sang to itself, and rose.";
  const Pool pool(SlabPool::create());
  sweep(text, [&](const auto& pieces) {
    for (const std::size_t max : {1u, 2u, 7u, 1000u}) {
      CAPTURE(max);
      flow::SlabQueue queue;
      std::string got;
      for (const auto piece : pieces) {
        append(queue, piece, *pool);
        got += queue.take(max).text();
      }
      got += take_all(queue, max);
      CHECK(got == text);
    }
  });
}

TEST_CASE("SlabQueue: small writes share a slab, large queues get large slabs") {
  const Pool pool(SlabPool::create());
  flow::SlabQueue queue;
  constexpr std::size_t kHead = sizeof(Slab);
  CHECK(append(queue, "a", *pool, 0) == Slab::kSmallest + kHead);
  for (std::size_t i = 1; i < Slab::kSmallest; ++i) CHECK(append(queue, "a", *pool, i) == 0);
  CHECK(append(queue, "a", *pool, 4000) == Slab::kSmallest + kHead);
  CHECK(append(queue, std::string(16384, 'b'), *pool, 4001) == 16384 + kHead);
  CHECK(append(queue, std::string(16384, 'b'), *pool, 20'000) == 32768 + kHead);
  CHECK(append(queue, std::string(32768, 'b'), *pool, 40'000) == 65536 + kHead);
  CHECK(append(queue, std::string(200'000, 'c'), *pool, 1) == 65536 * 2 + 16384 + 3 * kHead);
}

TEST_CASE("SlabQueue: an emptied queue lets its last slab go, and can be filled again") {
  const Pool pool(SlabPool::create());
  flow::SlabQueue queue;
  CHECK(queue.vacate());
  for (int round = 0; round < 3; ++round) {
    append(queue, "abc", *pool);
    CHECK_FALSE(queue.vacate());
    CHECK(take_all(queue) == "abc");
    append(queue, "de", *pool);  // in the same slab
    CHECK(take_all(queue) == "de");
    CHECK(queue.released() == 0);
    CHECK(queue.vacate());
    CHECK(queue.released() == Slab::kSmallest + sizeof(Slab));
    CHECK(queue.vacate());
    CHECK(queue.released() == 0);
  }
}

TEST_CASE("SlabQueue: a spent slab is given back by the read that spends it") {
  const Pool pool(SlabPool::create());
  flow::SlabQueue queue;
  const std::size_t room = Slab::kSmallest;
  append(queue, std::string(room, 'a'), *pool);
  append(queue, "b", *pool);
  CHECK(queue.take(room - 1).size() == room - 1);
  CHECK(queue.released() == 0);
  CHECK(queue.take(100).text() == "a");  // never across slabs
  CHECK(queue.released() == Slab::kSmallest + sizeof(Slab));
  CHECK(queue.take(100).text() == "b");
}

TEST_CASE("SlabQueue: chunks outlive the queue and its pool's owner") {
  Chunk chunk;
  {
    const Pool pool(SlabPool::create());
    flow::SlabQueue queue;
    append(queue, "hello", *pool);
    chunk = queue.take(4);
    append(queue, " world", *pool);
  }
  CHECK(chunk.text() == "hell");
}

TEST_CASE("SlabQueue: discard takes what is there, and the queue goes on") {
  const Pool pool(SlabPool::create());
  flow::SlabQueue queue;
  const std::size_t added = append(queue, std::string(300'000, 'a'), *pool);
  queue.take(10);
  queue.discard();
  CHECK(queue.released() == added);
  CHECK(queue.take(10).empty());
  append(queue, "b", *pool);
  CHECK(take_all(queue) == "b");
}

TEST_CASE("SlabQueue: a failed prepare changes nothing, at any of its allocations") {
  if (!kCanFailNew) return;
  const Pool pool(SlabPool::create());
  flow::SlabQueue queue;
  append(queue, "abc", *pool);
  const int failures = fail_each_allocation([&](int) { queue.prepare(150'000, 3, *pool); });
  CHECK(failures >= 2);
  queue.commit(bytes_of(std::string(150'000, 'd')));
  CHECK(take_all(queue) == "abc" + std::string(150'000, 'd'));
  append(queue, "e", *pool);
  CHECK(take_all(queue) == "e");
  CHECK(queue.vacate());
}

TEST_CASE("SlabQueue: every interleaving of a seed keeps bytes, order and memory") {
  const unsigned seeds = sized(300u, 3000u, 30000u);
  const std::size_t sizes[] = {1, 3, 200, 4000, 4048, 4049, 9000, 70'000};
  std::size_t vacated_all = 0;
  for (unsigned seed = 0; seed < seeds; ++seed) {
    CAPTURE(seed);
    const Pool pool(SlabPool::create());
    flow::BasicSlabQueue<ScheduledAtomics> queue;
    Schedule schedule(seed);
    const std::size_t writes = 2 + schedule.below(8);
    std::uint64_t sent = 0, received = 0, added = 0, released = 0, wrong = 0;
    std::size_t vacated = 0;
    bool done = false;  // only one task moves at a time
    const auto produce = [&] {
      for (std::size_t i = 0; i < writes; ++i) {
        std::string text(sizes[schedule.below(std::size(sizes))], ' ');
        for (char& c : text) c = pattern(sent++);
        added += append(queue, text, *pool, schedule.below(20'000));
      }
      done = true;
    };
    const auto consume = [&] {
      for (;;) {
        const bool last = done;
        const Chunk chunk = queue.take(sizes[schedule.below(std::size(sizes))]);
        for (const char c : chunk.text()) wrong += c != pattern(received++);
        if (!chunk.empty()) continue;
        if (last) break;
        if (schedule.below(2) == 0 && queue.vacate()) ++vacated;
        Schedule::yield();
      }
      queue.vacate();
      released = queue.released();
    };
    schedule.run({produce, consume});
    CHECK(wrong == 0);
    CHECK(received == sent);
    CHECK(released == added);
    vacated_all += vacated;
  }
  CHECK(vacated_all > seeds / 4);  // the race between filling and letting go was run
}

TEST_CASE("SlabQueue: a discard during writes loses no slab, whatever the interleaving") {
  for (unsigned seed = 0; seed < sized(200u, 2000u, 20000u); ++seed) {
    CAPTURE(seed);
    const Pool pool(SlabPool::create());
    flow::BasicSlabQueue<ScheduledAtomics> queue;
    Schedule schedule(seed);
    std::size_t added = 0;
    schedule.run({[&] {
                    for (int i = 0; i < 6; ++i)
                      added += append(queue, std::string(3000, 'a'), *pool);
                  },
                  [&] {
                    for (int i = 0; i < 4; ++i) queue.discard();
                  }});
    queue.discard();
    CHECK(queue.released() == added);
    CHECK(queue.take(1).empty());
  }
}

TEST_SUITE_END();
