#pragma once

#include <atomic>
#include <chrono>

#include "base/clock.hpp"

namespace weir::test {

/// Time that moves only when told to. Begins an hour after the epoch of steady_clock, so that
/// no time counted from it is the zero of a TimePoint.
/// Thread-safety: any thread.
class ManualClock final : public detail::Clock {
 public:
  detail::TimePoint now() const noexcept override { return detail::TimePoint(now_.load()); }

  void advance(detail::TimePoint::duration by) noexcept {
    auto now = now_.load();
    while (!now_.compare_exchange_weak(now, now + by)) {
    }
  }

 private:
  std::atomic<detail::TimePoint::duration> now_{std::chrono::hours(1)};
};

}  // namespace weir::test
