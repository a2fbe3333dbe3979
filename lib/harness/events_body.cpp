#include "harness/events_body.hpp"

#include <algorithm>

namespace weir::harness {
namespace {

constexpr std::size_t kBurst = 64 * 1024;  // bytes

}  // namespace

EventsBody::EventsBody(const BodyPlan& plan, Clock::time_point now)
    : plan_(plan.events), due_(now) {
  if (plan_.retry) bytes = "retry: " + std::to_string(plan_.retry->count()) + "\n\n";
  if (plan_.heartbeat.count() > 0) heartbeat_ = now + plan_.heartbeat;
}

void EventsBody::fill(Clock::time_point now) {
  if (!bytes.empty() || ended_) return;
  ready_at_.reset();
  ended_ = over() && plan_.then == EventsPlan::Then::end;
  if (ended_ || (over() && plan_.then == EventsPlan::Then::silence)) return;
  if (!over() && due_ <= now) {
    do {
      add_event();
    } while (plan_.burst && !over() && bytes.size() < kBurst);
    if (!plan_.burst) due_ = std::max(due_ + plan_.interval, now);
  } else if (heartbeat_ && *heartbeat_ <= now) {
    bytes = ": heartbeat\n\n";
    heartbeat_ = now + plan_.heartbeat;
  } else {
    ready_at_ = heartbeat_;
    if (!over()) ready_at_ = std::min(due_, heartbeat_.value_or(due_));
  }
}

void EventsBody::add_event() {
  const std::string number = std::to_string(plan_.first + made_);
  if (plan_.ids) bytes.append("id: ").append(number).append("\n");
  bytes.append("data: ");
  if (plan_.texts.empty()) {
    bytes.append(number);
    if (plan_.size > number.size()) {
      bytes.append(static_cast<std::size_t>(plan_.size) - number.size(), '.');
    }
  } else {
    bytes.append(plan_.texts[static_cast<std::size_t>(made_)]);
  }
  bytes.append("\n\n");
  ++made_;
}

}  // namespace weir::harness
