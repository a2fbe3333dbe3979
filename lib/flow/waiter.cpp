#include "flow/waiter.hpp"

namespace weir::flow {

void BlockingWaiter::wake() noexcept {
  // Notified under the lock: once it is free, the waiter may be gone.
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_one();
}

void BlockingWaiter::interrupt() noexcept {
  const std::lock_guard lock(mutex_);
  interrupted_ = true;
  changed_.notify_one();
}

void BlockingWaiter::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return woken_; });
}

BlockingWaiter::Why BlockingWaiter::wait_until(detail::TimePoint limit) {
  std::unique_lock lock(mutex_);
  const auto over = [this] { return woken_ || interrupted_; };
  if (limit == detail::TimePoint::max()) {
    changed_.wait(lock, over);
  } else {
    changed_.wait_until(lock, limit, over);
  }
  if (woken_) return Why::woken;
  return interrupted_ ? Why::interrupted : Why::late;
}

}  // namespace weir::flow
