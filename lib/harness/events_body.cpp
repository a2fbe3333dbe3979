#include "harness/events_body.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace weir::harness {
namespace {

constexpr std::size_t kBurst = 64 * 1024;  // bytes

}  // namespace

EventsBody::EventsBody(const BodyPlan& plan, Clock::time_point now)
    : plan_(plan.events), encoders_(plan_.codings), due_(now) {
  if (plan_.retry) {
    const std::string count = std::to_string(plan_.retry->count());
    bytes = encoders_.add("retry: " + count + "\n\n", Encoder::Push::flush);
  }
  if (plan_.heartbeat.count() > 0) heartbeat_ = now + plan_.heartbeat;
}

void EventsBody::fill(Clock::time_point now) {
  if (!bytes.empty() || ended_) return;
  ready_at_.reset();
  ended_ = over() && plan_.then == EventsPlan::Then::end;
  if (ended_) {
    bytes = encoders_.add({}, Encoder::Push::finish);
  } else if (!over() || plan_.then != EventsPlan::Then::silence) {
    std::string text = due(now);
    if (!text.empty()) bytes = encoders_.add(std::move(text), Encoder::Push::flush);
  }
}

std::string EventsBody::due(Clock::time_point now) {
  std::string text;
  if (!over() && due_ <= now) {
    do {
      add_event(text);
    } while (plan_.burst && !over() && text.size() < kBurst);
    if (!plan_.burst) due_ = std::max(due_ + plan_.interval, now);
  } else if (heartbeat_ && *heartbeat_ <= now) {
    text = ": heartbeat\n\n";
    heartbeat_ = now + plan_.heartbeat;
  } else {
    ready_at_ = heartbeat_;
    if (!over()) ready_at_ = std::min(due_, heartbeat_.value_or(due_));
  }
  return text;
}

void EventsBody::add_event(std::string& text) {
  if (plan_.ids) text.append("id: ").append(std::to_string(plan_.first + made_)).append("\n");
  text.append("data: ").append(data());
  text.append("\n\n");
  ++made_;
}

std::string EventsBody::data() const {
  using std::chrono::nanoseconds;
  if (!plan_.texts.empty()) return plan_.texts[static_cast<std::size_t>(made_)];
  std::string data = std::to_string(plan_.first + made_);
  if (plan_.data) data = *plan_.data;
  if (plan_.stamp) data = std::to_string(nanoseconds(Clock::now().time_since_epoch()).count());
  if (data.size() < plan_.size) data.resize(static_cast<std::size_t>(plan_.size), '.');
  return data;
}

}  // namespace weir::harness
