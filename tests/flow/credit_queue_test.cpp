#include "flow/credit_queue.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "support/scheduled_atomics.hpp"
#include "support/size.hpp"

using namespace weir::test;
using weir::flow::BasicCreditQueue;
using weir::flow::CreditNode;
using weir::flow::CreditQueue;

namespace {

struct Node final : CreditNode {
  explicit Node(int named = 0) : name(named) {}
  const int name;
  std::atomic<int> credits{0};
  int seen = 0;     // by the I/O thread
  int handled = 0;  // the same
};

Node& node_of(const std::shared_ptr<CreditNode>& node) { return static_cast<Node&>(*node); }

std::vector<int> drained(CreditQueue& queue) {
  std::vector<int> names;
  queue.drain(
      [&](const std::shared_ptr<CreditNode>& node) { names.push_back(node_of(node).name); });
  return names;
}

}  // namespace

TEST_SUITE_BEGIN("flow");

TEST_CASE("CreditQueue: only a push to the empty list asks for the bell") {
  CreditQueue queue;
  const auto a = std::make_shared<Node>(1), b = std::make_shared<Node>(2);
  CHECK(queue.push(a));
  CHECK_FALSE(queue.push(b));
  CHECK_FALSE(queue.push(a));
  CHECK(drained(queue) == std::vector<int>{1, 2});
  CHECK(drained(queue).empty());
  CHECK(queue.push(b));
  CHECK(drained(queue) == std::vector<int>{2});
  queue.close();
}

TEST_CASE("CreditQueue: a linked node is kept alive, once, until it was handled") {
  CreditQueue queue;
  auto node = std::make_shared<Node>();
  const std::weak_ptr<Node> seen = node;
  CHECK(queue.push(node));
  CHECK_FALSE(queue.push(node));
  CHECK(node.use_count() == 2);
  node.reset();
  CHECK_FALSE(seen.expired());
  CHECK(drained(queue).size() == 1);
  CHECK(seen.expired());
  queue.close();
}

TEST_CASE("CreditQueue: a push from inside the handler is for the next time, and rings") {
  CreditQueue queue;
  const auto node = std::make_shared<Node>();
  bool bell = queue.push(node);
  int handled = 0;
  queue.drain([&](const std::shared_ptr<CreditNode>& taken) {
    ++handled;
    bell = queue.push(taken);
  });
  CHECK(handled == 1);
  CHECK(bell);
  CHECK(drained(queue).size() == 1);
  queue.close();
}

TEST_CASE("CreditQueue: close drops what is linked, refuses the rest, and may be repeated") {
  CreditQueue queue;
  const auto node = std::make_shared<Node>(), late = std::make_shared<Node>();
  CHECK(queue.push(node));
  queue.close();
  CHECK(node.use_count() == 1);
  CHECK_FALSE(queue.push(late));
  CHECK_FALSE(queue.push(late));
  CHECK_FALSE(queue.push(node));
  CHECK(late.use_count() == 1);
  CHECK(drained(queue).empty());
  queue.close();
}

// Readers add credits and push; the I/O thread looks at a node's credits when it is handed the
// node, and only looks at the list when the bell has rung. It must see every credit in the end.
TEST_CASE("CreditQueue: no credit is lost and no node linked twice, whatever the interleaving") {
  const unsigned seeds = sized(300u, 2000u, 40000u);
  int coalesced = 0;
  for (unsigned seed = 0; seed < seeds; ++seed) {
    CAPTURE(seed);
    BasicCreditQueue<ScheduledAtomics> queue;
    std::array nodes{std::make_shared<Node>(0), std::make_shared<Node>(1)};
    Schedule schedule(seed);
    std::atomic<bool> bell{false};
    std::size_t running = 3;  // only one task moves at a time
    const int pushes = 4;
    const auto read = [&](std::size_t which) {
      for (int i = 0; i < pushes; ++i) {
        Node& node = *nodes[which];
        Schedule::yield();
        node.credits.fetch_add(1);
        if (queue.push(nodes[which]))
          ScheduledAtomics::store(bell, true, std::memory_order_seq_cst);
      }
      --running;
    };
    const auto io = [&] {
      for (;;) {
        const bool last = running == 0;
        if (!ScheduledAtomics::exchange(bell, false, std::memory_order_seq_cst)) {
          if (last) return;
          continue;
        }
        queue.drain([](const std::shared_ptr<CreditNode>& taken) {
          Node& node = node_of(taken);
          ++node.handled;
          node.seen = ScheduledAtomics::load(node.credits, std::memory_order_seq_cst);
        });
      }
    };
    // Two readers' threads share the second node, as a reader and a cancelling thread do.
    schedule.run({[&] { read(0); }, [&] { read(1); }, [&] { read(1); }, io});
    CHECK(nodes[0]->seen == pushes);
    CHECK(nodes[1]->seen == 2 * pushes);
    coalesced += 3 * pushes - nodes[0]->handled - nodes[1]->handled;
    queue.close();
    for (const auto& node : nodes) CHECK(node.use_count() == 1);
  }
  CHECK(coalesced > 0);
}

TEST_CASE("CreditQueue: a close among pushes keeps no node, whatever the interleaving") {
  int handled = 0, refused = 0;
  for (unsigned seed = 0; seed < sized(300u, 3000u, 30000u); ++seed) {
    CAPTURE(seed);
    BasicCreditQueue<ScheduledAtomics> queue;
    std::array nodes{std::make_shared<Node>(0), std::make_shared<Node>(1)};
    Schedule schedule(seed);
    const auto push = [&](std::size_t which) {
      for (int i = 0; i < 3; ++i) static_cast<void>(queue.push(nodes[which]));
    };
    const auto io = [&] {
      queue.drain([&](const std::shared_ptr<CreditNode>& taken) { ++node_of(taken).handled; });
      queue.close();
    };
    schedule.run({[&] { push(0); }, [&] { push(1); }, [&] { push(1); }, io});
    for (const auto& node : nodes) {
      CHECK(node.use_count() == 1);
      handled += node->handled;
      refused += node->handled == 0;
      CHECK_FALSE(queue.push(node));
      CHECK(node.use_count() == 1);
    }
  }
  CHECK(handled > 0);
  CHECK(refused > 0);
}

TEST_SUITE_END();
