#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "flow/credit_queue.hpp"
#include "stress/io_thread.hpp"
#include "support/size.hpp"

using namespace weir;
using namespace weir::test;
using flow::CreditNode;
using flow::CreditQueue;

namespace {

struct Node final : CreditNode {
  std::atomic<std::uint64_t> credits{0};
  std::uint64_t plain = 0;  // written by one reader before its push; no atomic: for ThreadSanitizer
  std::uint64_t seen = 0;
};

}  // namespace

TEST_SUITE_BEGIN("stress");

// The I/O thread looks only when the bell has rung: a lost signal or ring leaves it asleep.
TEST_CASE("CreditQueue: every credit of many readers is seen, and rings stay few") {
  constexpr std::size_t kReaders = 4;
  const std::uint64_t pushes = sized(20'000u, 300'000u, 5'000'000u);
  BellHub bell(1, detail::Clock::steady());
  CreditQueue queue;
  std::vector<std::shared_ptr<Node>> nodes;
  for (std::size_t i = 0; i < kReaders; ++i) nodes.push_back(std::make_shared<Node>());
  std::atomic<std::uint64_t> rings{0};
  std::vector<std::thread> readers;
  for (std::size_t i = 0; i < kReaders; ++i) {
    readers.emplace_back([&, i] {
      for (std::uint64_t push = 0; push < pushes; ++push) {
        // Two readers on each node, as a reader and those who cancel are.
        nodes[i / 2]->credits.fetch_add(1, std::memory_order_relaxed);
        if (queue.push(nodes[i / 2])) {
          rings.fetch_add(1);
          bell.ring();
        }
      }
    });
  }
  std::uint64_t handled = 0, turns = 0;
  while (nodes[0]->seen + nodes[1]->seen < kReaders * pushes) {
    bell.silence(false);
    ++turns;
    queue.drain([&](const std::shared_ptr<CreditNode>& taken) {
      Node& node = static_cast<Node&>(*taken);
      ++handled;
      node.seen = node.credits.load(std::memory_order_relaxed);  // ordered by the queue alone (Q3)
    });
  }
  for (auto& reader : readers) reader.join();
  CHECK(nodes[0]->seen == 2 * pushes);
  CHECK(nodes[1]->seen == 2 * pushes);
  CHECK(rings.load() <= handled);
  CHECK(turns <= rings.load());
  queue.close();
  CHECK(nodes[0].use_count() == 1);
}

TEST_CASE("CreditQueue: what is written before a push is read without a race in its handler") {
  const std::uint64_t pushes = sized(10'000u, 50'000u, 1'000'000u);
  BellHub bell(1, detail::Clock::steady());
  CreditQueue queue;
  const auto node = std::make_shared<Node>();
  std::atomic<std::uint64_t> acknowledged{0};
  std::thread reader([&] {
    for (std::uint64_t push = 1; push <= pushes; ++push) {
      node->plain = push;
      if (queue.push(node)) bell.ring();
      while (acknowledged.load() < push) std::this_thread::yield();
    }
  });
  std::uint64_t wrong = 0;
  for (std::uint64_t next = 1; next <= pushes;) {
    bell.silence(false);
    queue.drain([&](const std::shared_ptr<CreditNode>&) {
      wrong += node->plain != next;
      acknowledged.store(next++);
    });
  }
  reader.join();
  CHECK(wrong == 0);
  queue.close();
}

TEST_CASE("CreditQueue: nodes dropped by their readers end with their signal; close keeps none") {
  const int rounds = sized(50, 200, 5000);
  int late = 0;
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    CreditQueue queue;
    std::atomic<int> linked{0};
    std::vector<std::weak_ptr<Node>> seen(100);
    std::thread reader([&] {
      for (auto& node : seen) {
        auto mine = std::make_shared<Node>();
        node = mine;
        static_cast<void>(queue.push(mine));
        static_cast<void>(queue.push(std::move(mine)));
        linked.fetch_add(1);
      }
    });
    while (linked.load() < round % 100) {
      queue.drain([](const std::shared_ptr<CreditNode>&) {});
    }
    queue.close();
    late += linked.load() < 100;
    reader.join();
    for (const auto& node : seen) CHECK(node.expired());
  }
  CHECK(late > 0);
}

TEST_SUITE_END();
