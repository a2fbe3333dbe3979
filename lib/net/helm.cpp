#include "net/helm.hpp"

#include <utility>

namespace weir::net {

bool Helm::take() noexcept {
  if (lead_.load(std::memory_order_relaxed) != Lead::nobody) return false;  // relaxed: a guess
  const std::lock_guard lock(mutex_);
  if (stopping() || lead_.load() != Lead::nobody) return false;
  lead_.store(Lead::caller);
  lent_ = false;
  return true;
}

bool Helm::add(std::shared_ptr<Exchange> exchange) {
  std::unique_lock lock(mutex_);
  if (stopping()) return false;
  inbox_.push_back(std::move(exchange));
  if (lead_.load() == Lead::nobody) {
    call_io_thread(std::move(lock));
    return true;
  }
  const bool first = inbox_.size() == 1;
  lock.unlock();  // who is rung wants it first of all
  if (first) bell_.ring();
  return true;
}

void Helm::ring() noexcept {
  bell_.ring();
  if (lead_.load() != Lead::nobody) return;  // H3
  std::unique_lock lock(mutex_);
  if (lead_.load() == Lead::nobody) call_io_thread(std::move(lock));
}

void Helm::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_.store(true, std::memory_order_relaxed);
  }
  ring();
}

bool Helm::undisturbed() noexcept {
  const std::lock_guard lock(mutex_);
  return inbox_.empty() && !stopping();
}

void Helm::take_inbox(Inbox& empty) noexcept {
  const std::lock_guard lock(mutex_);
  inbox_.swap(empty);
}

void Helm::leave(Leave how) noexcept {
  std::unique_lock lock(mutex_);
  if (how == Leave::go_on || !inbox_.empty() || stopping()) return call_io_thread(std::move(lock));
  lead_.store(Lead::nobody);
  if (bell_.rung()) return call_io_thread(std::move(lock));  // H3
  ++turns_;
  lent_ = how == Leave::lend;
  if (!lent_ || watching_) return;
  lock.unlock();
  called_.notify_one();  // H4
}

void Helm::call_io_thread(std::unique_lock<std::mutex> lock) noexcept {
  lead_.store(Lead::io_thread);
  lent_ = false;
  lock.unlock();  // who is called wants it first of all
  called_.notify_one();
}

void Helm::await() {
  std::unique_lock lock(mutex_);
  const auto called = [this] { return lead_.load() == Lead::io_thread; };
  std::uint64_t seen = turns_;
  auto patience = kLongestWatch;
  while (!called()) {
    // Who reads comes and goes: as long as that happens, this looks on by the clock, and who lends
    // need not wake it just when they have something to read. The longer nothing happens the
    // less often it looks, and in the end it must be woken.
    patience = lent_ || seen != turns_ ? kPatience : 4 * patience;
    watching_ = patience <= kLongestWatch;
    if (!watching_) {
      called_.wait(lock, [&] { return called() || lent_; });
      continue;
    }
    seen = turns_;
    if (called_.wait_for(lock, patience, called)) break;
    if (lent_ && seen == turns_) {
      lead_.store(Lead::io_thread);
      lent_ = false;
    }
  }
  watching_ = false;
}

}  // namespace weir::net
