#pragma once

#include <algorithm>
#include <chrono>

namespace weir::net {

/// Keeps a libcurl that asks for its timer again and again, without anything to do, from taking a
/// whole core: 8.14 does so while a paused HTTP/2 stream has already ended.
///
/// After 16 expiries in a row without progress the shortest delay becomes 10 ms, doubling to 2 s.
/// Progress is: a socket event, a resume, a new transfer, or any callback that moved data.
class SpinGuard {
 public:
  using milliseconds = std::chrono::milliseconds;

  void expired() noexcept {
    if (++fruitless_ <= kAllowed) return;
    floor_ = floor_.count() == 0 ? kFirst : std::min(floor_ * 2, kLast);
  }
  void progress() noexcept {
    fruitless_ = 0;
    floor_ = milliseconds{0};
  }
  /// The delay to use where libcurl asked for `wanted`.
  milliseconds clamp(milliseconds wanted) const noexcept { return std::max(wanted, floor_); }

 private:
  static constexpr int kAllowed = 16;
  static constexpr milliseconds kFirst{10};
  static constexpr milliseconds kLast{2'000};

  int fruitless_ = 0;
  milliseconds floor_{0};
};

}  // namespace weir::net
