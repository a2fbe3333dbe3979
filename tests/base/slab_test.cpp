#include "base/slab.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "support/failing_new.hpp"
#include "support/size.hpp"
#include "support/sweep.hpp"

using weir::Chunk;
using weir::detail::Slab;
using weir::detail::SlabPool;
using weir::test::sized;

namespace {

struct Release {
  template <class Counted>
  void operator()(Counted* counted) const noexcept {
    counted->release();
  }
};
using Pool = std::unique_ptr<SlabPool, Release>;
using OwnedSlab = std::unique_ptr<Slab, Release>;

void append(Slab& slab, std::string_view text) {
  const auto at = slab.committed.load();
  std::memcpy(slab.data() + at, text.data(), text.size());
  slab.committed.store(at + text.size());
}

constexpr std::size_t kMax = std::numeric_limits<std::size_t>::max();

}  // namespace

TEST_SUITE_BEGIN("base");

TEST_CASE("Slab: one of no pool has exactly the room asked for") {
  const OwnedSlab slab(Slab::standalone(100));
  CHECK(slab->capacity() == 100);
  CHECK(slab->committed == 0);
  CHECK(slab->next == nullptr);
  append(*slab, std::string(100, 'x'));
  CHECK(slab->chunk(0, 100).text() == std::string(100, 'x'));
  CHECK(OwnedSlab(Slab::standalone(0))->capacity() == 0);
}

TEST_CASE("Slab: more memory than there can be is std::bad_alloc") {
  CHECK_THROWS_AS(Slab::standalone(kMax), std::bad_alloc);
  CHECK_THROWS_AS(Slab::standalone(kMax - sizeof(Slab) + 1), std::bad_alloc);
}

TEST_CASE("Slab: what is appended after a Chunk was taken leaves that Chunk as it was") {
  const std::string text = "the producer goes on appending while readers hold what was committed";
  weir::test::sweep(text, [&](const std::vector<std::string_view>& pieces) {
    const Pool pool(SlabPool::create());
    OwnedSlab slab(pool->acquire(text.size()));
    std::vector<Chunk> chunks;
    for (const auto piece : pieces) {
      const auto at = slab->committed.load();
      append(*slab, piece);
      chunks.push_back(slab->chunk(at, piece.size()));
    }
    const auto whole = slab->chunk(0, text.size());
    slab.reset();
    for (std::size_t i = 0; i < pieces.size(); ++i) CHECK(chunks[i].text() == pieces[i]);
    CHECK(whole.text() == text);
  });
}

TEST_CASE("Slab: an empty Chunk of it holds no reference") {
  const Pool pool(SlabPool::create());
  OwnedSlab slab(pool->acquire(1));
  append(*slab, "abc");
  const auto none = slab->chunk(3, 0);
  slab.reset();
  CHECK(none.empty());
  CHECK(pool->retained() == Slab::kSmallest + sizeof(Slab));
}

TEST_CASE("SlabPool: the room is a power of two, the smallest that is enough") {
  const Pool pool(SlabPool::create());
  struct Row {
    std::size_t asked, room;
  };
  for (const auto& row :
       {Row{0, 4096}, Row{1, 4096}, Row{4096, 4096}, Row{4097, 8192}, Row{8192, 8192},
        Row{8193, 16384}, Row{16384, 16384}, Row{16385, 32768}, Row{32769, 65536},
        Row{65536, 65536}, Row{65537, 65536}, Row{kMax, 65536}}) {
    CAPTURE(row.asked);
    const OwnedSlab slab(pool->acquire(row.asked));
    CHECK(slab->capacity() == row.room);
    CHECK(slab->allocated() == row.room + sizeof(Slab));
    std::memset(slab->data(), 1, slab->capacity());
  }
}

TEST_CASE("SlabPool: hands out the slab last given back first, as new") {
  const Pool pool(SlabPool::create());
  OwnedSlab first(pool->acquire(5'000));
  OwnedSlab second(pool->acquire(5'000));
  auto* const earlier = first.get();
  auto* const later = second.get();
  append(*second, "used");
  second->next = first.get();
  first.reset();
  second.reset();
  CHECK(pool->retained() == 2 * (8'192 + sizeof(Slab)));
  const OwnedSlab again(pool->acquire(5'000));
  CHECK(again.get() == later);
  CHECK(again->committed == 0);
  CHECK(again->next == nullptr);
  const OwnedSlab other_size(pool->acquire(1));
  CHECK(other_size.get() != earlier);
  CHECK(OwnedSlab(pool->acquire(5'000)).get() == earlier);
}

TEST_CASE("SlabPool: gets a slab back only when its last Chunk is gone") {
  const Pool pool(SlabPool::create());
  OwnedSlab slab(pool->acquire(1));
  append(*slab, "pinned");
  auto chunk = slab->chunk(0, 6);
  auto copy = chunk;
  slab.reset();
  chunk = {};
  CHECK(pool->retained() == 0);
  CHECK(copy.text() == "pinned");
  copy = {};
  CHECK(pool->retained() == Slab::kSmallest + sizeof(Slab));
}

TEST_CASE("SlabPool: keeps no more than kRetained, of small and large slabs together") {
  const Pool pool(SlabPool::create());
  std::vector<OwnedSlab> slabs;
  const std::size_t enough = 3 * SlabPool::kRetained / Slab::kLargest;
  for (std::size_t i = 0; i < enough; ++i) slabs.emplace_back(pool->acquire(i % 2 == 0 ? 1 : kMax));
  CHECK(pool->retained() == 0);
  std::size_t peak = 0;
  while (!slabs.empty()) {
    slabs.pop_back();
    peak = std::max(peak, pool->retained());
  }
  CHECK(peak <= SlabPool::kRetained);
  CHECK(peak > SlabPool::kRetained - Slab::kLargest - sizeof(Slab));
}

TEST_CASE("SlabPool: a Chunk may outlive it") {
  Pool pool(SlabPool::create());
  OwnedSlab slab(pool->acquire(10));
  const OwnedSlab unused(pool->acquire(10));
  append(*slab, "still here");
  const auto chunk = slab->chunk(0, 10);
  slab.reset();
  pool.reset();
  CHECK(chunk.text() == "still here");
}

TEST_CASE("SlabPool: an allocation that fails leaves it as it was" *
          doctest::skip(!weir::test::kCanFailNew)) {
  const Pool pool(SlabPool::create());
  CHECK(weir::test::fail_each_allocation([&](int) { OwnedSlab(pool->acquire(1)); }) == 1);
  CHECK(pool->retained() == Slab::kSmallest + sizeof(Slab));
  CHECK(weir::test::fail_each_allocation([&](int) { OwnedSlab(pool->acquire(1)); }) == 0);
}

TEST_CASE("SlabPool: one thread acquires, others free, and no byte is mixed up") {
  const int rounds = sized(1'000, 10'000, 100'000);
  constexpr std::size_t kReaders = 3;
  Pool pool(SlabPool::create());
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Chunk> queue;  // guarded by mutex
  bool done = false;        // guarded by mutex

  std::vector<int> good(kReaders);
  std::vector<std::thread> readers;
  for (std::size_t reader = 0; reader < kReaders; ++reader) {
    readers.emplace_back([&, reader] {
      for (;;) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return done || !queue.empty(); });
        if (queue.empty()) return;
        const auto chunk = std::move(queue.front());
        queue.pop_front();
        lock.unlock();
        changed.notify_all();
        const char first = chunk.text().front();
        good[reader] += chunk.text().find_first_not_of(first) == std::string_view::npos;
      }
    });
  }
  for (int round = 0; round < rounds; ++round) {
    const OwnedSlab slab(pool->acquire(std::size_t{1} << (round % 15)));
    append(*slab, std::string(std::min<std::size_t>(slab->capacity(), 200),
                              static_cast<char>('a' + round % 26)));
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return queue.size() < 64; });
    queue.push_back(slab->chunk(0, slab->committed));
    lock.unlock();
    changed.notify_all();
  }
  {
    const std::lock_guard lock(mutex);
    done = true;
  }
  changed.notify_all();
  for (auto& thread : readers) thread.join();
  CHECK(good[0] + good[1] + good[2] == rounds);
  CHECK(pool->retained() <= SlabPool::kRetained);
}

TEST_CASE("SlabPool: threads that acquire, share and free at once never meet the same slab") {
  const int rounds = sized(2'000, 20'000, 200'000);
  constexpr std::size_t kThreads = 4;
  Pool pool(SlabPool::create());
  std::vector<int> good(kThreads);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    pool->retain();
    threads.emplace_back([&, t, own = pool.get()] {
      const std::string text(64, static_cast<char>('a' + t));
      std::array<Chunk, 4> kept;
      for (int round = 0; round < rounds; ++round) {
        const OwnedSlab slab(own->acquire(1));
        append(*slab, text);
        auto& place = kept[static_cast<std::size_t>(round) % kept.size()];
        good[t] += place.empty() || place.text() == text;
        place = slab->chunk(0, text.size());
      }
      own->release();
    });
  }
  pool.reset();
  for (auto& thread : threads) thread.join();
  for (const int same : good) CHECK(same == rounds);
}

TEST_SUITE_END();
