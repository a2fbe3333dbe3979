#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>

#include "base/clock.hpp"

namespace weir::sse {

/// How long an EventSource waits before it connects again: `retry`, doubled each time up to
/// `max_retry`, and up to half as much again by chance, so that the clients of a server that was
/// away do not come back together. A connection that was up for 60 s begins anew.
/// Thread-safety: one thread at a time.
/// Spec: WHATWG HTML section 9.2.3, "reestablish the connection".
class Backoff {
 public:
  using milliseconds = std::chrono::milliseconds;

  static constexpr std::chrono::seconds kLongUp{60};
  static constexpr milliseconds kLeast{100};                      // of what a server asks for
  static constexpr milliseconds kMost = std::chrono::minutes(5);  // the same

  static constexpr milliseconds kNever = std::chrono::years(1);  // of ours: more would overflow

  Backoff(milliseconds retry, milliseconds max_retry) noexcept
      : retry_(std::min(retry, kNever)), max_retry_(std::min(max_retry, kNever)) {}

  void connected(detail::TimePoint now) noexcept { up_since_ = now; }

  /// What the server has said.
  struct Asked {
    std::optional<milliseconds> retry{};        // replaces ours
    std::optional<milliseconds> retry_after{};  // this time not sooner
  };
  /// The time to wait from now on. `chance`: from 0 to below 1.
  milliseconds lost(detail::TimePoint now, const Asked& asked, double chance) noexcept;

 private:
  const milliseconds retry_;
  const milliseconds max_retry_;
  detail::TimePoint up_since_ = detail::TimePoint::max();  // that: it is not up
  int doublings_ = 0;
};

/// The value of Retry-After, from now on; nullopt if it is none.
/// Spec: RFC 9110 section 10.2.3; of the dates only the IMF-fixdate.
std::optional<std::chrono::milliseconds> retry_after(std::string_view value,
                                                     std::chrono::system_clock::time_point now);

}  // namespace weir::sse
