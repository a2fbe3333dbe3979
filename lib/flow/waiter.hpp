#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "base/clock.hpp"

namespace weir::flow {

/// Somebody who waits for a Channel to change: a blocked thread now, a suspended coroutine later.
/// `wake()` is called at most once for each time it was registered, by whoever took it out of the
/// Channel's slot; it must not touch the Channel, and the waiter may be gone when it returns.
class Waiter {
 public:
  virtual void wake() noexcept = 0;

 protected:
  ~Waiter() = default;
};

/// A thread that sleeps until woken. Lives on the waiting thread's stack.
class BlockingWaiter final : public Waiter {
 public:
  void wake() noexcept override;
  void wait();                               ///< Returns once woken.
  bool wait_until(detail::TimePoint limit);  ///< False: not woken by then.

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;  // guarded by mutex_
};

/// How long a read may wait.
struct Wait {
  bool block = true;
  detail::TimePoint deadline = detail::TimePoint::max();

  static Wait for_ever() noexcept { return {}; }
  static Wait never() noexcept { return {.block = false}; }
};

}  // namespace weir::flow
