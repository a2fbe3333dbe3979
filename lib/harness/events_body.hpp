#pragma once

#include <optional>
#include <string>

#include "harness/body_cursor.hpp"
#include "harness/encoder.hpp"
#include "harness/plan.hpp"

namespace weir::harness {

/// Server-sent events, each at its time.
/// Memory: one event; or about 64 KiB, and one event more, in a burst.
/// Thread-safety: one thread.
class EventsBody {
 public:
  EventsBody(const BodyPlan& plan, Clock::time_point now);

  /// Makes what is due, unless something is still at hand.
  void fill(Clock::time_point now);
  /// When there will be more, while nothing is at hand; nullopt: never.
  std::optional<Clock::time_point> ready_at() const noexcept { return ready_at_; }
  bool ended() const noexcept { return ended_ && bytes.empty(); }

  std::string bytes;  // made and not sent: who sends erases them

 private:
  bool over() const noexcept { return plan_.count && made_ >= *plan_.count; }
  std::string due(Clock::time_point now);
  std::string data() const;
  void add_event(std::string& text);

  const EventsPlan plan_;
  EncoderChain encoders_;
  std::uint64_t made_ = 0;  // events
  Clock::time_point due_;
  std::optional<Clock::time_point> heartbeat_;
  std::optional<Clock::time_point> ready_at_;
  bool ended_ = false;
};

}  // namespace weir::harness
