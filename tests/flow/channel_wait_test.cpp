#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <new>
#include <stop_token>
#include <string>
#include <thread>

#include "flow/channel.hpp"
#include "flow/flow_fixture.hpp"
#include "support/size.hpp"

using namespace weir;
using namespace weir::test;
using flow::Channel;
using flow::Wait;
using flow::Watermarks;

namespace {

constexpr std::size_t kKiB = 1024;
constexpr Watermarks kSmall{.high = 1000, .low = 250, .unread_high = 100};

std::string bytes(std::size_t count) { return std::string(count, 'x'); }

struct CountingWaiter final : flow::Waiter {
  Kind wake() noexcept override {
    ++wakes;
    return Kind::other;
  }
  int wakes = 0;
};

}  // namespace

TEST_SUITE_BEGIN("flow");

TEST_CASE("Channel: a head is ready when it is there, and when it will never be") {
  Flow flow;
  const auto source = flow.source();
  Channel& channel = source->channel();
  CHECK_FALSE(channel.head_ready());
  SUBCASE("open") {
    source->open();
    CHECK(channel.wait_open(Wait::never()));
    CHECK(channel.head_ready());
    CHECK_FALSE(channel.ready());
  }
  SUBCASE("failed") {
    source->fail({.code = errc::connect_failed});
    CHECK(channel.head_ready());
    CHECK(thrown_by([&] { channel.wait_open(Wait::never()); }) == errc::connect_failed);
  }
  SUBCASE("cancelled") {
    channel.cancel();
    CHECK(channel.head_ready());
    CHECK(thrown_by([&] { channel.wait_open(Wait::never()); }) == errc::aborted);
  }
  CHECK(channel.head_ready());
}

TEST_CASE("Channel: is ready for whatever a take would bring, until it is taken") {
  Flow flow;
  const auto source = flow.source();
  Channel& channel = source->channel();
  CHECK_FALSE(channel.ready());
  SUBCASE("data") {
    source->send("abc");
    CHECK(channel.ready());
    CHECK(channel.ready());
    CHECK(try_take(channel, 2).chunk.text() == "ab");
    CHECK(channel.ready());
    CHECK(try_take(channel).chunk.text() == "c");
    CHECK_FALSE(channel.ready());
    return;
  }
  SUBCASE("end") {
    source->end();
    CHECK(channel.ready());
    CHECK(try_take(channel).status == ReadStatus::end);
  }
  SUBCASE("failure") {
    source->fail({.code = errc::truncated});
    CHECK(channel.ready());
    CHECK(thrown_by([&] { try_take(channel); }) == errc::truncated);
  }
  SUBCASE("abort") {
    source->send("abc");
    source->fail_now({.code = errc::aborted});
    CHECK(channel.ready());
    CHECK(thrown_by([&] { try_take(channel); }) == errc::aborted);
  }
  SUBCASE("out of memory") {
    flow.hub->as_io([&] { channel.fail_out_of_memory(); });
    CHECK(channel.ready());
    CHECK_THROWS_AS(try_take(channel), std::bad_alloc);
  }
  SUBCASE("cancelled") {
    source->send("abc");
    channel.cancel();
    CHECK(channel.ready());
    CHECK(thrown_by([&] { try_take(channel); }) == errc::aborted);
  }
  CHECK(channel.ready());
}

TEST_CASE("Channel: one that is asked whether it is ready holds no slab when it is not") {
  Flow flow;
  const auto source = flow.source();
  Channel& channel = source->channel();
  for (int round = 0; round < 3; ++round) {
    source->send("abc");
    CHECK(channel.ready());
    CHECK(flow.hub->budget.held() > 0);
    const ReadResult all = channel.take(100, Wait::never());
    CHECK(all.chunk.text() == "abc");
    CHECK(flow.hub->budget.held() > 0);  // more may come into the same slab
    CHECK_FALSE(channel.ready());
    CHECK(flow.hub->budget.held() == 0);
    CHECK_FALSE(channel.ready());
  }
}

TEST_CASE("Channel: the first read is noted when it is said, and raises the mark") {
  Flow flow;
  const auto source = flow.source(kSmall);
  Channel& channel = source->channel();
  source->send(bytes(100));
  CHECK(source->send(bytes(10)) == Offer::paused);
  CHECK(channel.ready());
  flow.hub->run_until_idle();
  CHECK(source->paused());  // being asked is not reading
  channel.begin_reading();
  channel.begin_reading();
  flow.hub->run_until_idle();
  CHECK(source->resumed() == 1);
  CHECK_FALSE(source->paused());
  CHECK(source->send(bytes(900)) == Offer::accepted);
  CHECK(source->send("y") == Offer::paused);
  CHECK(drain(channel).size() == 1010);
  flow.hub->run_until_idle();
  flow.check_counters(0);
}

TEST_CASE("Channel: a body that is taken whole is limited by nothing but the budget's share") {
  Flow flow(1024 * kKiB);
  const auto source = flow.source(kSmall);
  Channel& channel = source->channel();
  SUBCASE("said at once") { channel.take_whole(); }
  SUBCASE("said when it is paused before the first read") {
    source->send(bytes(100));
    CHECK(source->send(bytes(1)) == Offer::paused);
    channel.take_whole();
    flow.hub->run_until_idle();
    CHECK(source->resumed() == 1);
  }
  SUBCASE("said when it is paused at its high mark") {
    channel.begin_reading();
    source->send(bytes(1000));
    CHECK(source->send(bytes(1)) == Offer::paused);
    channel.take_whole();
    flow.hub->run_until_idle();
    CHECK(source->resumed() == 1);
  }
  const BodyStats before = channel.stats();
  CHECK(source->send(bytes(8 * kKiB)) == Offer::accepted);
  CHECK(source->send(bytes(8 * kKiB)) == Offer::accepted);
  CHECK_FALSE(source->paused());
  std::size_t sent = 16 * kKiB;
  while (source->send(bytes(kKiB)) == Offer::accepted) sent += kKiB;
  CHECK(sent < 1024 * kKiB);  // the budget's share
  CHECK(channel.stats().pauses == before.pauses + 1);
  std::size_t got = 0;
  for (int turns = 0; turns < 1000 && source->held() + channel.stats().queued > 0; ++turns) {
    got += drain(channel).size();
    flow.hub->run_until_idle();
  }
  CHECK(got == before.queued + sent + kKiB);
  flow.check_counters(0);
}

TEST_CASE("Channel: an enlisted waiter is woken by the next change, once") {
  Flow flow;
  const auto source = flow.source();
  Channel& channel = source->channel();
  CountingWaiter waiter;
  channel.enlist(waiter);
  flow.hub->run_until_idle();
  CHECK(waiter.wakes == 0);
  SUBCASE("the head") { source->open(); }
  SUBCASE("bytes") {
    source->send("a");
    source->send("b");
  }
  SUBCASE("the end") { source->end(); }
  SUBCASE("a failure") { source->fail({.code = errc::truncated}); }
  SUBCASE("a cancel, which needs no I/O thread") {
    channel.cancel();
    CHECK(waiter.wakes == 1);
  }
  flow.hub->run_until_idle();
  CHECK(waiter.wakes == 1);
  CHECK_FALSE(channel.withdraw(waiter));
  if (!channel.ended() && !channel.cancelled()) source->send("c");
  flow.hub->run_until_idle();
  CHECK(waiter.wakes == 1);
}

TEST_CASE("Channel: a waiter that was taken back is not woken, and another may come") {
  Flow flow;
  const auto source = flow.source();
  Channel& channel = source->channel();
  CountingWaiter first, second;
  channel.enlist(first);
  CHECK_FALSE(channel.withdraw(second));
  CHECK(channel.withdraw(first));
  CHECK_FALSE(channel.withdraw(first));
  channel.enlist(second);
  source->send("a");
  flow.hub->run_until_idle();
  CHECK(first.wakes == 0);
  CHECK(second.wakes == 1);
  channel.enlist(first);
  CHECK(channel.withdraw(first));
}

TEST_CASE("Channel: what changed before a waiter came is found by looking again") {
  Flow flow;
  const auto source = flow.source();
  Channel& channel = source->channel();
  source->send("a");
  flow.hub->run_until_idle();
  CountingWaiter waiter;
  channel.enlist(waiter);
  CHECK(channel.ready());
  flow.hub->run_until_idle();
  CHECK(waiter.wakes == 0);
  CHECK(channel.withdraw(waiter));
}

TEST_CASE("Channel: a take that is stopped or late leaves nobody in line, and loses nothing") {
  Flow flow;
  const auto source = flow.source();
  Channel& channel = source->channel();
  std::stop_source stop;
  Wait wait;
  ReadStatus expected{};
  SUBCASE("stopped before") {
    stop.request_stop();
    wait.stop = stop.get_token();
    source->send("queued");  // stop comes first
    expected = ReadStatus::stopped;
  }
  SUBCASE("late before") {
    wait.deadline = std::chrono::steady_clock::now();
    expected = ReadStatus::pending;
  }
  SUBCASE("late after a while") {
    wait.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
    expected = ReadStatus::pending;
  }
  CHECK(channel.take(100, wait).status == expected);
  CountingWaiter next;
  channel.enlist(next);  // asserts that the place is free
  source->send("more");
  flow.hub->run_until_idle();
  CHECK(next.wakes == 1);
  CHECK(drain(channel) == (expected == ReadStatus::stopped ? "queuedmore" : "more"));
}

TEST_CASE("Channel: a take that has run out of time brings what is there") {
  Flow flow;
  const auto source = flow.source();
  Channel& channel = source->channel();
  const Wait past{.deadline = detail::TimePoint{}};
  source->send("abc");
  CHECK(channel.take(100, past).chunk.text() == "abc");
  CHECK(channel.take(100, past).status == ReadStatus::pending);
  source->end();
  CHECK(channel.take(100, past).status == ReadStatus::end);
}

TEST_CASE("Channel: stops and bytes may race, and each byte is taken once") {
  const int rounds = sized(2'000, 5'000, 20'000);
  Flow flow;
  const auto source = flow.source();
  Channel& channel = source->channel();
  std::atomic<int> round{0}, over{0};
  std::stop_source stop;
  std::thread io([&] {
    for (int mine = 1; mine <= rounds; ++mine) {
      while (round.load() < mine) std::this_thread::yield();
      source->send("x");
      flow.hub->turn();
      ++over;
    }
  });
  std::thread stopper([&] {
    for (int mine = 1; mine <= rounds; ++mine) {
      while (round.load() < mine) std::this_thread::yield();
      stop.request_stop();
      ++over;
    }
  });
  int stopped = 0, taken = 0, wrong = 0;
  for (int mine = 1; mine <= rounds; ++mine) {
    stop = std::stop_source();
    Wait wait;
    wait.stop = stop.get_token();
    round.store(mine);
    const ReadResult result = channel.take(1, wait);
    stopped += result.status == ReadStatus::stopped;
    taken += result.status == ReadStatus::data;
    while (over.load() < 2 * mine) std::this_thread::yield();
    if (result.status == ReadStatus::stopped && !try_take(channel)) ++wrong;
  }
  io.join();
  stopper.join();
  CHECK(stopped + taken == rounds);
  CHECK(wrong == 0);
  CHECK(try_take(channel).status == ReadStatus::pending);
}

TEST_SUITE_END();
