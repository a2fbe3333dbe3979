#include "flow/waiter.hpp"

namespace weir::flow {

void BlockingWaiter::wake() noexcept {
  // Notified under the lock: once it is free, the waiter may be gone.
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_one();
}

void BlockingWaiter::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return woken_; });
}

bool BlockingWaiter::wait_until(detail::TimePoint limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, limit, [this] { return woken_; });
}

}  // namespace weir::flow
