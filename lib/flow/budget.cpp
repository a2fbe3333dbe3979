#include "flow/budget.hpp"

#include <utility>

namespace weir::flow {

void Budget::add(std::size_t bytes) noexcept {
  const std::size_t now = held_.fetch_add(bytes) + bytes;
  if (now > peak()) peak_.store(now, std::memory_order_relaxed);  // relaxed: a statistic
}

void Budget::join(std::shared_ptr<BudgetWaiter> waiter) noexcept {
  BudgetWaiter& joining = *waiter;
  if (joining.keep_) return;
  joining.keep_ = std::move(waiter);
  joining.before_ = last_;
  (last_ != nullptr ? last_->after_ : first_) = &joining;
  last_ = &joining;
  waiters_.fetch_add(1);
}

void Budget::leave(BudgetWaiter& waiter) noexcept {
  // The caller holds a reference of its own: this one is never the last.
  const std::shared_ptr<void> keep = std::move(waiter.keep_);
  if (!keep) return;
  if (cursor_ == &waiter) cursor_ = waiter.after_;
  (waiter.before_ != nullptr ? waiter.before_->after_ : first_) = waiter.after_;
  (waiter.after_ != nullptr ? waiter.after_->before_ : last_) = waiter.before_;
  waiter.before_ = waiter.after_ = nullptr;
  waiters_.fetch_sub(1);
}

bool Budget::serve() {
  if (to_ask_ == 0 && std::exchange(again_, false)) {
    cursor_ = first_;
    to_ask_ = waiters();
  }
  for (std::size_t visits = 0; cursor_ != nullptr && to_ask_ > 0; ++visits) {
    if (visits == kVisits) return true;
    BudgetWaiter& waiter = *cursor_;
    const std::shared_ptr<void> keep = waiter.keep_;
    cursor_ = waiter.after_;
    --to_ask_;
    waiter.budget_grew();
  }
  cursor_ = nullptr;
  to_ask_ = 0;
  return again_;
}

void Budget::clear() noexcept {
  while (first_ != nullptr) {
    const std::shared_ptr<void> keep = first_->keep_;
    leave(*first_);
  }
}

}  // namespace weir::flow
