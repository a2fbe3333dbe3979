#include "api/suspension.hpp"

#include <utility>

namespace weir::detail {

Suspension::Suspension(Awaited& awaited, std::coroutine_handle<> coroutine, TimePoint deadline)
    : continuations_(awaited.continuations()),
      deadline_(deadline),
      awaited_(awaited),
      coroutine_(coroutine) {}

void Suspension::Post::operator()() const noexcept {
  suspension->continuations_->post(suspension->shared_from_this());
}

bool Suspension::begin(const std::stop_token& stop) {
  const std::shared_ptr<Suspension> keep = shared_from_this();  // past the end of the coroutine
  const std::lock_guard lock(mutex_);
  stop_ = stop;
  if (!continuations_->post_at(keep, deadline_)) {
    // The client is gone, and nobody would resume it: what it left does not block.
    over_ = true;
    end_ = stop.stop_requested() ? End::stopped : End::ready;
    return false;
  }
  if (stop.stop_possible()) on_stop_.emplace(stop, Post{this});
  enlist();
  end_ = look();
  if (end_ == End::none) return true;
  over_ = true;
  withdraw();
  return false;
}

Suspension::End Suspension::finish() noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(over_, true)) withdraw();
  }
  // Without the lock: these wait for a callback under way.
  on_stop_.reset();
  continuations_->forget_deadline(*this);
  return end_;
}

void Suspension::drop() noexcept {
  finish();
  const auto given_elsewhere = [this] {
    const std::lock_guard lock(mutex_);
    return giver_ != std::thread::id() && giver_ != std::this_thread::get_id();
  };
  // acquire: A4, pairs with run().
  if (given_elsewhere()) giving_.wait(true, std::memory_order_acquire);
}

void Suspension::run() noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (over_) return;
    end_ = look();
    if (end_ == End::none) {
      // acquire: A3, pairs with wake().
      if (!woken_.exchange(false, std::memory_order_acquire)) return;
      enlist();
      end_ = look();
      if (end_ == End::none) return;
    }
    over_ = true;
    withdraw();
    giver_ = std::this_thread::get_id();
    giving_.store(true, std::memory_order_relaxed);  // relaxed: A4, read after the mutex
  }
  continuations_->resume(coroutine_);
  giving_.store(false, std::memory_order_release);  // release: A4, pairs with drop()
  giving_.notify_all();
}

Suspension::End Suspension::look() const noexcept {
  if (stop_.stop_requested()) return End::stopped;
  if (awaited_.ready()) return End::ready;
  const bool late = deadline_ != TimePoint::max() && Clock::steady().now() >= deadline_;
  return late ? End::late : End::none;
}

void Suspension::enlist() noexcept {
  self_ = shared_from_this();
  awaited_.enlist(*this);
}

void Suspension::withdraw() noexcept {
  if (awaited_.withdraw(*this)) self_.reset();
}

flow::Waiter::Kind Suspension::wake() noexcept {
  const std::shared_ptr<Suspension> self = std::move(self_);
  woken_.store(true, std::memory_order_release);  // release: A3, pairs with run()
  continuations_->post(self);
  return Kind::other;
}

}  // namespace weir::detail
