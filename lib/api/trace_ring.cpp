#include "api/trace_ring.hpp"

#include <utility>

namespace weir::detail {

TraceRing::TraceRing(std::function<void(const TraceEvent&)> listener,
                     std::shared_ptr<flow::Continuations> continuations)
    : listener_(std::move(listener)), continuations_(std::move(continuations)), ring_(kRoom) {
  continuations_->start();
}

void TraceRing::emit(TraceEvent event) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_ == kRoom) {
      ++dropped_;
      return;
    }
    event.dropped = std::exchange(dropped_, 0);
    ring_[(first_ + waiting_) % kRoom] = std::move(event);
    if (++waiting_ > 1) return;  // posted already
  }
  continuations_->post(shared_from_this());
}

/// One event each time, so that coroutines get their turn among them.
void TraceRing::run() noexcept {
  TraceEvent event;
  {
    const std::lock_guard lock(mutex_);
    event = std::move(ring_[first_]);
    first_ = (first_ + 1) % kRoom;
    // While some wait this is posted: here, or by emit() if there are none now.
    if (--waiting_ > 0) continuations_->post(shared_from_this());
  }
  listener_(event);
}

}  // namespace weir::detail
