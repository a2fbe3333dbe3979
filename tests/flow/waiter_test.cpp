#include "flow/waiter.hpp"

#include <doctest/doctest.h>

#include <thread>

using weir::detail::TimePoint;
using weir::flow::BlockingWaiter;
using Why = BlockingWaiter::Why;

TEST_SUITE_BEGIN("flow");

TEST_CASE("BlockingWaiter: a wake-up that comes first is not lost") {
  BlockingWaiter waiter;
  waiter.wake();
  waiter.wait();
  CHECK(waiter.wait_until(TimePoint{}) == Why::woken);
}

TEST_CASE("BlockingWaiter: says whether its thread may take the helm") {
  BlockingWaiter drives;
  BlockingWaiter does_not(BlockingWaiter::Kind::other);
  CHECK(drives.wake() == BlockingWaiter::Kind::thread);
  CHECK(does_not.wake() == BlockingWaiter::Kind::other);
}

TEST_CASE("BlockingWaiter: a limit that has passed ends the wait") {
  BlockingWaiter waiter;
  CHECK(waiter.wait_until(TimePoint{}) == Why::late);
}

TEST_CASE("BlockingWaiter: an interruption ends the wait, but a wake-up counts for more") {
  BlockingWaiter waiter;
  waiter.interrupt();
  CHECK(waiter.wait_until(TimePoint::max()) == Why::interrupted);
  waiter.wake();
  CHECK(waiter.wait_until(TimePoint::max()) == Why::woken);
  waiter.wait();
}

TEST_CASE("BlockingWaiter: another thread wakes it, and it may be gone when wake returns") {
  int woken = 0;
  for (int i = 0; i < 200; ++i) {
    std::thread waker;
    {
      BlockingWaiter waiter;
      waker = std::thread([&] { waiter.wake(); });
      if (i % 2 == 0) {
        waiter.wait();
        ++woken;
      } else {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::hours(1);
        woken += waiter.wait_until(limit) == Why::woken ? 1 : 0;
      }
    }
    waker.join();
  }
  CHECK(woken == 200);
}

TEST_SUITE_END();
