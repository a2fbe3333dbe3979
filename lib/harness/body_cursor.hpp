#pragma once

#include <chrono>
#include <cstdint>

#include "harness/plan.hpp"

namespace weir::harness {

using Clock = std::chrono::steady_clock;

/// Bytes that may pass now if at most `rate` a second may, in portions of about 10 ms; what was not
/// used in time is lost beyond 100 ms' worth.
class RateLimit {
 public:
  RateLimit(std::uint64_t rate, std::uint64_t portion, Clock::time_point now);

  /// 0: not before `ready_at`.
  std::uint64_t allowed(std::uint64_t wanted, Clock::time_point now);
  Clock::time_point ready_at() const noexcept { return ready_at_; }
  void used(std::uint64_t bytes) noexcept { tokens_ -= static_cast<double>(bytes); }

 private:
  double rate_;  // 0: no limit
  double portion_;
  double burst_;
  double tokens_;
  Clock::time_point updated_;
  Clock::time_point ready_at_;
};

/// Where a body is and what it may do next: its rate, stalls and cuts. Knows no framing, no socket
/// and no clock of its own.
class BodyCursor {
 public:
  BodyCursor(const BodyPlan& plan, Clock::time_point now);

  enum class Action {
    send,   // `bytes` of them at most
    wait,   // until `until`
    stall,  // for ever
    end,
    cut,
  };
  struct Step {
    Action action = Action::end;
    std::uint64_t bytes = 0;
    Clock::time_point until{};
  };
  /// What to do now. After `send` call `sent`, or `next` again if nothing could be sent: it then
  /// allows as many bytes, or more.
  Step next(Clock::time_point now);
  void sent(std::uint64_t bytes) noexcept;
  void source_ended() noexcept { plan_.length = offset_; }  // a body whose length was not known
  std::uint64_t offset() const noexcept { return offset_; }

 private:
  BodyPlan plan_;
  RateLimit rate_;
  std::uint64_t offset_ = 0;
  bool stalling_ = false;
  Clock::time_point stall_end_{};
};

}  // namespace weir::harness
