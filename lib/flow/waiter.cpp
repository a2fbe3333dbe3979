#include "flow/waiter.hpp"

#include <utility>

namespace weir::flow {

std::shared_ptr<BlockingWaiter::Bed> BlockingWaiter::bed_of_this_thread() {
  // What waits while the thread's own variables are being destroyed gets a bed for itself.
  static thread_local bool gone = false;
  struct Own {
    ~Own() { gone = true; }
    std::shared_ptr<Bed> bed = std::make_shared<Bed>();
  };
  if (gone) return std::make_shared<Bed>();
  static thread_local const Own own;
  return own.bed;
}

BlockingWaiter::BlockingWaiter(Kind kind) : kind_(kind), bed_(bed_of_this_thread()) {}

void BlockingWaiter::rouse(bool BlockingWaiter::*why) noexcept {
  const std::shared_ptr<Bed> bed = bed_;  // once the lock is free, the waiter may be gone
  {
    const std::lock_guard lock(bed->mutex);
    this->*why = true;
  }
  bed->changed.notify_one();
}

Waiter::Kind BlockingWaiter::wake() noexcept {
  const Kind kind = kind_;  // afterwards the waiter may be gone
  rouse(&BlockingWaiter::woken_);
  return kind;
}

void BlockingWaiter::interrupt() noexcept { rouse(&BlockingWaiter::interrupted_); }

void BlockingWaiter::wait() {
  std::unique_lock lock(bed_->mutex);
  bed_->changed.wait(lock, [this] { return woken_; });
}

BlockingWaiter::Why BlockingWaiter::wait_until(detail::TimePoint limit) {
  std::unique_lock lock(bed_->mutex);
  const auto over = [this] { return woken_ || interrupted_; };
  if (limit == detail::TimePoint::max()) {
    bed_->changed.wait(lock, over);
  } else {
    bed_->changed.wait_until(lock, limit, over);
  }
  if (woken_) return Why::woken;
  return interrupted_ ? Why::interrupted : Why::late;
}

}  // namespace weir::flow
