#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include "flow/waiter.hpp"

namespace weir::detail {

/// Waiters that were taken out of their slots under a lock, to be woken when it is free: declare it
/// before the lock. Who takes a waiter out wakes it.
class Wakes {
 public:
  Wakes() = default;
  Wakes(const Wakes&) = delete;
  Wakes& operator=(const Wakes&) = delete;
  ~Wakes() { now(); }

  /// Empties a slot; at most two that are not empty.
  void add(flow::Waiter*& slot) noexcept {
    if (slot != nullptr) waiters_[count_++] = std::exchange(slot, nullptr);
  }
  /// Wakes them; whether a thread was among them.
  flow::Waiter::Kind now() noexcept {
    auto kind = flow::Waiter::Kind::other;
    while (count_ > 0) {
      if (waiters_[--count_]->wake() == flow::Waiter::Kind::thread) {
        kind = flow::Waiter::Kind::thread;
      }
    }
    return kind;
  }

 private:
  std::array<flow::Waiter*, 2> waiters_{};
  std::size_t count_ = 0;
};

}  // namespace weir::detail
