#include "net/helm.hpp"

#include <utility>

namespace weir::net {

bool Helm::take(const std::shared_ptr<Exchange>& exchange) {
  const std::lock_guard lock(mutex_);
  if (stopping() || lead_.load() != Lead::nobody) return false;
  inbox_.push_back(exchange);
  lead_.store(Lead::caller);
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

void Helm::take_inbox(Inbox& empty) noexcept {
  const std::lock_guard lock(mutex_);
  inbox_.swap(empty);
}

void Helm::leave(bool idle) noexcept {
  std::unique_lock lock(mutex_);
  if (idle && inbox_.empty() && !stopping()) {
    lead_.store(Lead::nobody);
    if (!bell_.rung()) return;  // H3
  }
  call_io_thread(std::move(lock));
}

void Helm::call_io_thread(std::unique_lock<std::mutex> lock) noexcept {
  lead_.store(Lead::io_thread);
  lock.unlock();  // who is called wants it first of all
  called_.notify_one();
}

void Helm::await() {
  std::unique_lock lock(mutex_);
  called_.wait(lock, [this] { return lead_.load() == Lead::io_thread; });
}

}  // namespace weir::net
