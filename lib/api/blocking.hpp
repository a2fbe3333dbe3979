#pragma once

#include "api/awaited.hpp"
#include "base/clock.hpp"
#include "flow/waiter.hpp"

namespace weir::detail {

enum class Woken { ready, late, stopped };

/// Blocks the thread until `awaited` is ready, until `limit`, or until the stop of `wait` is
/// requested. It is looked at before it is called late.
Woken block_until_ready(Awaited& awaited, const flow::Wait& wait, TimePoint limit);

}  // namespace weir::detail
