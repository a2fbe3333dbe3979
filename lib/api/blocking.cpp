#include "api/blocking.hpp"

#include <stop_token>

namespace weir::detail {
namespace {

/// Takes the waiter back; if somebody has it already, its wake-up is on the way and is waited for.
void leave_line(Awaited& awaited, flow::BlockingWaiter& waiter) noexcept {
  if (!awaited.withdraw(waiter)) waiter.wait();
}

}  // namespace

Woken block_until_ready(Awaited& awaited, const flow::Wait& wait, TimePoint limit) {
  for (;;) {
    flow::BlockingWaiter waiter(flow::Waiter::Kind::other);
    awaited.enlist(waiter);
    if (awaited.ready()) {
      leave_line(awaited, waiter);
      return Woken::ready;
    }
    const std::stop_callback on_stop(wait.stop, [&waiter]() noexcept { waiter.interrupt(); });
    const auto why = waiter.wait_until(limit);
    if (why != flow::BlockingWaiter::Why::woken) leave_line(awaited, waiter);
    if (why == flow::BlockingWaiter::Why::interrupted) return Woken::stopped;
    if (awaited.ready()) return Woken::ready;
    if (why == flow::BlockingWaiter::Why::late) return Woken::late;
  }
}

}  // namespace weir::detail
