#pragma once

#include <chrono>

namespace weir::detail {

using TimePoint = std::chrono::steady_clock::time_point;

/// Where time comes from, so that tests can move it.
/// Thread-safety: any thread.
class Clock {
 public:
  virtual TimePoint now() const noexcept = 0;

  /// The real one. Lives forever.
  static const Clock& steady() noexcept;

 protected:
  ~Clock() = default;
};

class SteadyClock final : public Clock {
 public:
  TimePoint now() const noexcept override { return std::chrono::steady_clock::now(); }
};

inline const Clock& Clock::steady() noexcept {
  static constinit const SteadyClock clock;
  return clock;
}

}  // namespace weir::detail
