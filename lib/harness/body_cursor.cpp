#include "harness/body_cursor.hpp"

#include <algorithm>
#include <limits>

namespace weir::harness {
namespace {

constexpr std::uint64_t kEndless = std::numeric_limits<std::uint64_t>::max();

BodyPlan without_text(const BodyPlan& plan) {
  BodyPlan copy = plan;
  copy.text.clear();
  return copy;
}

}  // namespace

RateLimit::RateLimit(std::uint64_t rate, std::uint64_t portion, Clock::time_point now)
    : rate_(static_cast<double>(rate)),
      portion_(std::max(1.0, rate_ / 100)),
      burst_(0),
      tokens_(0),
      updated_(now),
      ready_at_(now) {
  if (portion > 0) portion_ = std::min(portion_, static_cast<double>(portion));
  burst_ = std::max(portion_, rate_ / 10);
  tokens_ = portion_;
}

std::uint64_t RateLimit::allowed(std::uint64_t wanted, Clock::time_point now) {
  if (rate_ <= 0) return wanted;
  const double elapsed = std::chrono::duration<double>(now - updated_).count();
  tokens_ = std::min(burst_, tokens_ + elapsed * rate_);
  updated_ = now;
  const double needed = std::min(portion_, static_cast<double>(wanted));
  if (tokens_ >= needed)
    return std::min(wanted, static_cast<std::uint64_t>(std::max(tokens_, 1.0)));
  const std::chrono::duration<double> missing((needed - tokens_) / rate_);
  // Rounded up: a wake-up a nanosecond early would be one for nothing.
  ready_at_ = now + std::chrono::ceil<std::chrono::microseconds>(missing);
  return 0;
}

BodyCursor::BodyCursor(const BodyPlan& plan, Clock::time_point now)
    : plan_(without_text(plan)),
      rate_(plan.source == BodySource::echo ? 0 : plan.rate, plan.write_size, now) {}

BodyCursor::Step BodyCursor::next(Clock::time_point now) {
  if (plan_.cut != Cut::none && offset_ == plan_.cut_after) return {Action::cut};
  if (plan_.stall_after && offset_ == *plan_.stall_after) {
    if (!plan_.stall) return {Action::stall};
    if (!stalling_) stall_end_ = now + *plan_.stall;
    stalling_ = true;
    if (now < stall_end_) return {Action::wait, 0, stall_end_};
    plan_.stall_after.reset();
  }
  std::uint64_t stop = plan_.length.value_or(kEndless);
  if (offset_ >= stop) return {Action::end};
  if (plan_.cut != Cut::none && plan_.cut_after > offset_) stop = std::min(stop, plan_.cut_after);
  if (plan_.stall_after && *plan_.stall_after > offset_) stop = std::min(stop, *plan_.stall_after);
  std::uint64_t wanted = stop - offset_;
  if (plan_.write_size > 0) wanted = std::min(wanted, plan_.write_size);
  const std::uint64_t bytes = rate_.allowed(wanted, now);
  if (bytes == 0) return {Action::wait, 0, rate_.ready_at()};
  return {Action::send, bytes};
}

void BodyCursor::sent(std::uint64_t bytes) noexcept {
  offset_ += bytes;
  rate_.used(bytes);
}

}  // namespace weir::harness
