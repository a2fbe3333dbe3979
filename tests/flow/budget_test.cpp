#include "flow/budget.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "flow/flow_fixture.hpp"

using namespace weir;
using namespace weir::test;
using flow::Budget;
using flow::Channel;
using flow::kOneWrite;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

class Waiter final : public flow::BudgetWaiter {
 public:
  explicit Waiter(std::function<void(Waiter&)> grew) : grew_(std::move(grew)) {}

 private:
  void budget_grew() override { grew_(*this); }
  std::function<void(Waiter&)> grew_;
};

std::string bytes(std::size_t count) { return std::string(count, 'x'); }

/// Reads `channel` on until it ends; the I/O thread turns after each read. False: it got stuck.
bool reads_to_the_end(Flow& flow, Channel& channel) {
  for (int idle = 0; idle < 3;) {
    const ReadResult result = try_take(channel);
    if (result.status == ReadStatus::end) return true;
    idle = result ? 0 : idle + 1;
    flow.hub->run_until_idle();
  }
  return false;
}

}  // namespace

TEST_SUITE_BEGIN("flow");

TEST_CASE("Budget: the share is an eighth of what is free, or one write at a time") {
  Budget budget(64 * kMiB);
  struct Row {
    std::size_t held, share;
  };
  const Row rows[] = {{0, 8 * kMiB},
                      {32 * kMiB, 4 * kMiB},
                      {64 * kMiB - 8 * kOneWrite - 8, kOneWrite + 1},
                      {64 * kMiB - 8 * kOneWrite, kOneWrite},
                      {64 * kMiB - 8 * kOneWrite + 1, 1},
                      {64 * kMiB, 1},
                      {100 * kMiB, 1}};
  for (const Row& row : rows) {
    CAPTURE(row.held);
    budget.add(row.held);
    CHECK(budget.held() == row.held);
    CHECK(budget.share(Budget::kKnownToBeRead) == row.share);
    CHECK_FALSE(budget.give_back(row.held));
  }
  CHECK(budget.peak() == 100 * kMiB);
  CHECK(Budget(1).share(0) == 1);
  CHECK(Budget(0).share(0) == 1);
}

TEST_CASE("Budget: the last eighth is for bodies that are known to be read") {
  Budget budget(64 * kMiB);
  CHECK(budget.share(0) == 7 * kMiB);
  CHECK(budget.share(Budget::kKnownToBeRead - 1) == 7 * kMiB);
  budget.add(56 * kMiB);
  CHECK(budget.share(0) == 1);
  CHECK(budget.share(Budget::kKnownToBeRead) == kMiB);
  CHECK_FALSE(budget.give_back(56 * kMiB));
}

TEST_CASE("Budget: serve asks in the order they came, and join keeps a place") {
  Budget budget(kMiB);
  std::vector<char> asked;
  std::vector<std::shared_ptr<Waiter>> waiters;
  for (const char name : {'a', 'b', 'c', 'd'}) {
    waiters.push_back(std::make_shared<Waiter>([&, name](Waiter& self) {
      asked.push_back(name);
      if (name != 'b') budget.leave(self);
      if (name == 'c') budget.join(waiters[2]);  // paused again at once: to the end of the line
    }));
    budget.join(waiters.back());
  }
  budget.join(waiters[0]);
  CHECK(budget.waiters() == 4);
  CHECK(budget.give_back(0));
  CHECK_FALSE(budget.serve());  // nothing was given back
  CHECK(asked.empty());
  budget.start_over();
  CHECK_FALSE(budget.serve());
  CHECK(asked == std::vector<char>{'a', 'b', 'c', 'd'});
  CHECK(budget.waiters() == 2);
  asked.clear();
  budget.start_over();
  CHECK_FALSE(budget.serve());
  CHECK(asked == std::vector<char>{'b', 'c'});
  budget.clear();
  CHECK(budget.waiters() == 0);
  for (const auto& waiter : waiters) CHECK(waiter.use_count() == 1);
}

TEST_CASE("Budget: a waiter may take others out of the line while it is asked") {
  Budget budget(kMiB);
  int asked = 0;
  std::vector<std::shared_ptr<Waiter>> waiters;
  for (int i = 0; i < 5; ++i) {
    waiters.push_back(std::make_shared<Waiter>([&](Waiter& self) {
      ++asked;
      if (&self != waiters[1].get()) return;
      for (const int leaver : {0, 1, 2, 4}) budget.leave(*waiters[static_cast<unsigned>(leaver)]);
    }));
    budget.join(waiters.back());
  }
  budget.start_over();
  CHECK_FALSE(budget.serve());
  CHECK(asked == 3);  // 0, 1, 3
  CHECK(budget.waiters() == 1);
  budget.clear();
}

TEST_CASE("Budget: a line longer than one visit is asked whole, in order, and each once") {
  Budget budget(kMiB);
  const int count = static_cast<int>(Budget::kVisits * 2 + 10);
  std::vector<int> asked;
  std::vector<std::shared_ptr<Waiter>> waiters;
  for (int i = 0; i < count; ++i) {
    waiters.push_back(std::make_shared<Waiter>([&asked, i](Waiter&) { asked.push_back(i); }));
    budget.join(waiters.back());
  }
  budget.start_over();
  CHECK(budget.serve());
  CHECK(asked.size() == Budget::kVisits);
  budget.start_over();  // memory given back while the pass is under way: another one follows
  CHECK(budget.serve());
  CHECK(budget.serve());
  CHECK(asked.size() == static_cast<std::size_t>(count));
  while (budget.serve()) {
  }
  CHECK(asked.size() == 2 * static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) CHECK(asked[static_cast<std::size_t>(i)] == i);
  budget.clear();
}

TEST_CASE("Budget: stalled bodies leave room for an active one") {
  Flow flow(8 * kMiB);
  std::vector<std::unique_ptr<FakeSource>> stalled;
  for (int i = 0; i < 20; ++i) {
    stalled.push_back(flow.source());
    try_take(stalled.back()->channel());
    for (int write = 0; write < 300; ++write) stalled.back()->send(bytes(kOneWrite));
    CHECK(stalled.back()->paused());
  }
  // 20 bodies at 1/8 each: (20 / 28) of the budget, and a slab of waste each.
  CHECK(flow.hub->budget.held() <= 8 * kMiB * 20 / 28 + 20 * (kOneWrite + 128 * 1024));
  const auto active = flow.source();
  try_take(active->channel());
  CHECK(active->send(bytes(kOneWrite)) == Offer::accepted);
  CHECK(active->send(bytes(kOneWrite)) == Offer::accepted);
  flow.check_counters(20);
}

TEST_CASE("Budget: memory given back by one body resumes the next in line, which had no read") {
  Flow flow(kMiB);
  const flow::Watermarks marks{.high = 4 * kMiB, .low = kMiB, .unread_high = 4 * kMiB};
  const auto first = flow.source(marks);
  for (int i = 0; i < 60; ++i) first->send(bytes(kOneWrite));
  std::vector<std::unique_ptr<FakeSource>> rest;
  for (int i = 0; i < 20; ++i) {
    rest.push_back(flow.source(marks));
    for (int write = 0; write < 100; ++write) rest.back()->send(bytes(kOneWrite));
  }
  const auto second = flow.source(marks);
  second->send(bytes(100));
  for (int i = 0; i < 60; ++i) second->send(bytes(kOneWrite));
  CHECK(first->paused());
  CHECK(second->paused());
  CHECK(flow.hub->budget.waiters() == 22);
  flow.hub->run_until_idle();
  CHECK(second->resumed() == 0);

  rest.clear();
  first->channel().cancel();
  flow.hub->run_until_idle();
  CHECK(second->resumed() >= 1);
  flow.check_counters(second->paused() ? 1 : 0);
}

TEST_CASE("Budget: 100 bodies over it end in any order of reading, each without the others") {
  for (const bool backwards : {false, true}) {
    CAPTURE(backwards);
    Flow flow(kMiB);
    std::vector<std::unique_ptr<FakeSource>> bodies;
    for (int i = 0; i < 100; ++i) {
      bodies.push_back(flow.source());
      for (int write = 0; write < 20; ++write) bodies.back()->send(bytes(kOneWrite));
      bodies.back()->end();
    }
    CHECK(flow.hub->budget.held() > kMiB);  // one write each, whatever the limit
    CHECK(flow.hub->budget.peak() <= kMiB + 100 * kOneWrite);
    for (std::size_t i = 0; i < 100; ++i) {
      CAPTURE(i);
      auto& body = *bodies[backwards ? 99 - i : i];
      REQUIRE(reads_to_the_end(flow, body.channel()));
      CHECK(body.channel().stats().drained == 20 * kOneWrite);
    }
    flow.check_counters(0);
    CHECK(flow.hub->budget.held() == 0);
    CHECK(flow.hub->budget.waiters() == 0);
  }
}

TEST_CASE("Budget: a body that ends or is cancelled in line leaves it") {
  Flow flow(1);
  const auto ended = flow.source();
  const auto cancelled = flow.source();
  const auto failed = flow.source();
  for (FakeSource* source : {ended.get(), cancelled.get(), failed.get()}) {
    source->send(bytes(kOneWrite));
    CHECK(source->send(bytes(kOneWrite)) == Offer::paused);
  }
  CHECK(flow.hub->budget.waiters() == 3);
  cancelled->channel().cancel();
  CHECK(flow.hub->budget.waiters() == 3);
  flow.hub->run_until_idle();
  CHECK(flow.hub->budget.waiters() == 2);
  failed->fail_now({.code = errc::timed_out, .detail = {}, .url = {}});
  CHECK(flow.hub->budget.waiters() == 1);
  flow.hub->as_io([&] { ended->channel().end(); });
  CHECK(flow.hub->budget.waiters() == 0);
  flow.check_counters(0);
}

TEST_SUITE_END();
