#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>

#include "base/clock.hpp"

namespace weir::flow {

/// Somebody who waits for a Channel to change: a blocked thread, or a suspended coroutine.
/// `wake()` is called at most once for each time it was enlisted, by whoever took it out of the
/// Channel's slot; it must not touch the Channel, and the waiter may be gone when it returns.
class Waiter {
 public:
  enum class Kind {
    thread,  ///< When it reads on it may take the helm (net/helm.hpp).
    other,   ///< A coroutine, or a thread that never does.
  };
  virtual Kind wake() noexcept = 0;

 protected:
  ~Waiter() = default;
};

/// A thread that sleeps until woken. Lives on the waiting thread's stack.
class BlockingWaiter final : public Waiter {
 public:
  enum class Why { woken, interrupted, late };

  explicit BlockingWaiter(Kind kind = Kind::thread);
  Kind wake() noexcept override;
  /// Ends a wait_until() from any thread, once, without being the wake-up. Whoever may call it
  /// keeps the waiter alive.
  void interrupt() noexcept;

  void wait();                              ///< Returns once woken.
  Why wait_until(detail::TimePoint limit);  ///< late: not woken by then.

 private:
  /// Where a thread sleeps: outlives the waiter, so that it can be notified without its lock, which
  /// the thread wants first of all.
  struct Bed {
    std::mutex mutex;
    std::condition_variable changed;
  };
  static std::shared_ptr<Bed> bed_of_this_thread();
  void rouse(bool BlockingWaiter::*why) noexcept;

  const Kind kind_;
  const std::shared_ptr<Bed> bed_;
  bool woken_ = false;  // this and below: guarded by the bed's mutex
  bool interrupted_ = false;
};

/// How long a read may wait.
struct Wait {
  bool block = true;
  detail::TimePoint deadline = detail::TimePoint::max();
  std::stop_token stop{};  ///< Ends the wait, not the body.

  bool is_late() const noexcept {
    return deadline != detail::TimePoint::max() && detail::Clock::steady().now() >= deadline;
  }

  static Wait for_ever() noexcept { return {}; }
  static Wait never() noexcept { return {.block = false}; }
};

}  // namespace weir::flow
