#include "weir/awaiter.hpp"

#include <utility>

#include "api/awaited.hpp"
#include "api/suspension.hpp"
#include "base/clock.hpp"

namespace weir::detail {

Awaiter::Awaiter(Awaited& awaited, Deadline deadline, std::stop_token stop) noexcept
    : awaited_(awaited), deadline_(deadline), stop_(std::move(stop)) {}

Awaiter::~Awaiter() {
  if (suspension_) suspension_->drop();
}

bool Awaiter::await_ready() {
  if (stop_.stop_requested()) {
    outcome_ = Outcome::stopped;
    return true;
  }
  if (awaited_.ready()) return true;
  if (deadline_ == Deadline::max() || Clock::steady().now() < deadline_) return false;
  outcome_ = Outcome::late;
  return true;
}

// Not inlined: clang may keep what an inlined body needs in the coroutine's frame (LLVM issue
// 56301), which is another thread's, or gone, once the coroutine was enlisted.
[[gnu::noinline]] bool Awaiter::await_suspend(std::coroutine_handle<> coroutine) {
  suspension_ = std::make_shared<Suspension>(awaited_, coroutine, deadline_);
  // Nothing of this object after begin(): the coroutine may have gone on.
  return suspension_->begin(stop_);
}

Awaiter::Outcome Awaiter::outcome() noexcept {
  if (const auto suspension = std::exchange(suspension_, nullptr)) {
    switch (suspension->finish()) {
      case Suspension::End::stopped: return Outcome::stopped;
      case Suspension::End::late: return Outcome::late;
      case Suspension::End::none:
      case Suspension::End::ready: break;
    }
  }
  return outcome_;
}

}  // namespace weir::detail
