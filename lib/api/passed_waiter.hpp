#pragma once

#include <utility>

#include "api/awaited.hpp"

namespace weir::detail {

/// The waiter of something that is made from what a source brings: it waits for the source.
/// Thread-safety: as Awaited.
class PassedWaiter {
 public:
  void enlist(Awaited& source, flow::Waiter& waiter) noexcept {
    waiter_ = &waiter;
    source.enlist(waiter);
  }
  bool withdraw(Awaited& source, flow::Waiter& waiter) noexcept {
    waiter_ = nullptr;
    return source.withdraw(waiter);
  }
  /// For ready(), when the source has more than one look may deal with: others first, then the
  /// waiter looks again. True where nobody is ever suspended: who pulls goes on.
  bool look_later(Awaited& source) noexcept {
    if (!source.continuations()) return true;
    flow::Waiter* const waiter = std::exchange(waiter_, nullptr);
    if (waiter != nullptr && source.withdraw(*waiter)) waiter->wake();
    return false;
  }

 private:
  flow::Waiter* waiter_ = nullptr;  // perhaps enlisted with the source
};

}  // namespace weir::detail
