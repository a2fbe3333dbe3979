#pragma once

#include <memory>

#include "flow/continuations.hpp"
#include "flow/waiter.hpp"

namespace weir::detail {

/// Something that a coroutine can wait for.
/// Thread-safety: one thread at a time.
class Awaited {
 public:
  virtual ~Awaited() = default;

  /// Waiting is over: what comes next does not block. Stays true until then.
  virtual bool ready() noexcept = 0;
  /// Has `waiter` woken at the next change; look again after it. One at a time.
  virtual void enlist(flow::Waiter& waiter) noexcept = 0;
  /// Takes `waiter` back. False: it is being woken, or was.
  virtual bool withdraw(flow::Waiter& waiter) noexcept = 0;
  /// Where the coroutine goes on. Only asked while not ready.
  virtual const std::shared_ptr<flow::Continuations>& continuations() const noexcept = 0;
};

}  // namespace weir::detail
