#include <utility>

#include "sse/source_machine.hpp"

// What the EventSource and who asks it for events do. The invariants are those of
// source_machine.hpp.

namespace weir::sse {
namespace {

EventResult nothing() { return {.status = ReadStatus::pending, .event = {}}; }

}  // namespace

std::shared_ptr<SourceMachine> SourceMachine::make(detail::ClientState& client, std::string url,
                                                   EventSourceOptions options) {
  std::stop_token stop = options.init.stop;
  auto machine = std::make_shared<SourceMachine>(client, std::move(url), std::move(options));
  machine->start(std::move(stop));
  return machine;
}

void SourceMachine::start(std::stop_token stop) {
  continuations_->start();
  {
    const std::lock_guard lock(mutex_);
    connect();
  }
  continuations_->post(shared_from_this());
  if (stop.stop_possible()) on_stop_.emplace(std::move(stop), Close{this});
}

void SourceMachine::close() noexcept {
  const std::lock_guard lock(mutex_);
  queue_.clear();
  finish(nullptr);
}

void SourceMachine::abandon() noexcept {
  on_stop_.reset();  // without the lock: it waits for a call of close() under way
  close();
  {
    const std::lock_guard lock(mutex_);
    borrowed_ = nullptr;
  }
  kept_.reset();
  Listeners gone;  // destroyed without the lock
  std::unique_lock lock(mutex_);
  abandoned_ = true;
  if (reporter_ == std::this_thread::get_id()) return;  // it is running: tell() sees to it
  reported_.wait(lock, [this] { return reporter_ == std::thread::id(); });
  std::swap(gone, listeners_);
  lock.unlock();
}

EventSource::State SourceMachine::state() const noexcept {
  return state_.load(std::memory_order_relaxed);
}

std::uint64_t SourceMachine::dropped() const noexcept {
  return dropped_.load(std::memory_order_relaxed);
}

EventSourceStats SourceMachine::stats() const noexcept {
  const std::lock_guard lock(mutex_);
  EventSourceStats stats = stats_;
  stats.events = delivered_.load(std::memory_order_relaxed);
  stats.dropped = dropped();
  count_connection(stats);
  return stats;
}

Failure SourceMachine::failure(errc code, std::string detail) const {
  Failure failure;
  failure.code = code;
  failure.detail = std::move(detail);
  failure.url = url_;
  return failure;
}

EventResult SourceMachine::pull(const flow::Wait& wait) {
  for (EventResult result;;) {
    if (wait.stop.stop_requested()) return {.status = ReadStatus::stopped, .event = {}};
    if ((kept_ && take_kept(result)) || take(result)) {
      if (result) delivered_.fetch_add(1, std::memory_order_relaxed);
      return result;
    }
    if (!wait.block || wait.is_late()) return nothing();
    if (continuations_->is_this_thread()) {
      throw Error(failure(errc::would_deadlock, "on the continuation thread: use async_next()"));
    }
    if (read_alone(wait)) continue;
    flow::BlockingWaiter waiter(wait.stop.stop_possible() ? Kind::other : Kind::thread);
    enlist(waiter);
    if (!ready()) {
      const std::stop_callback on_stop(wait.stop, [&waiter]() noexcept { waiter.interrupt(); });
      if (waiter.wait_until(wait.deadline) == flow::BlockingWaiter::Why::woken) continue;
    }
    leave_line(waiter);
  }
}

/// False: there is neither an event nor an end.
bool SourceMachine::take(EventResult& result) {
  const std::lock_guard lock(mutex_);
  asked_ = queue_.empty();
  look();
  if (!queue_.empty()) {
    result = {.status = ReadStatus::data, .event = std::move(queue_.front())};
    queue_.pop_front();
    asked_ = false;
    if (may_borrow() && events_->at_hand()) {
      kept_ = borrow();
    } else {
      look();  // so that the end of a connection is noticed while nobody waits
    }
    return true;
  }
  if (phase_ != Phase::closed) return false;
  if (why_) std::rethrow_exception(why_);
  result.status = ReadStatus::end;
  return true;
}

/// Without the lock, but for the last one at hand. False: it was closed meanwhile.
bool SourceMachine::take_kept(EventResult& result) {
  std::exception_ptr why;
  try {
    result = nothing();
    if (kept_->at_hand()) result = kept_->pull(flow::Wait::never());
    if (result && kept_->at_hand()) return true;
  } catch (...) {
    why = std::current_exception();
  }
  give_back(std::move(kept_), nothing(), std::move(why));
  return static_cast<bool>(result);
}

/// False: not now.
bool SourceMachine::read_alone(const flow::Wait& wait) {
  std::unique_ptr<EventPull> events;
  {
    const std::lock_guard lock(mutex_);
    if (!may_borrow()) return false;
    events = borrow();
  }
  EventResult result = nothing();
  std::exception_ptr why;
  try {
    result = events->pull(wait);
  } catch (...) {
    why = std::current_exception();
  }
  give_back(std::move(events), std::move(result), std::move(why));
  return true;
}

bool SourceMachine::may_borrow() const noexcept {
  return overflow_ == Overflow::block && phase_ == Phase::open && has_room() &&
         !events_->has_comment();
}

std::unique_ptr<EventPull> SourceMachine::borrow() noexcept {
  disarm(*events_);
  borrowed_ = events_.get();
  return std::move(events_);
}

void SourceMachine::give_back(std::unique_ptr<EventPull> events, EventResult result,
                              std::exception_ptr why) {
  const std::lock_guard lock(mutex_);
  borrowed_ = nullptr;
  if (phase_ == Phase::closed) return;
  events_ = std::move(events);
  if (result) queue_.push_back(std::move(result.event));
  if (why || result.status == ReadStatus::end) return be_lost(std::move(why));
  look();
}

bool SourceMachine::ready() noexcept {
  if (kept_) return true;
  const std::lock_guard lock(mutex_);
  asked_ = queue_.empty();
  try {
    look();
  } catch (...) {
    finish(std::current_exception());
  }
  return !queue_.empty() || phase_ == Phase::closed;
}

void SourceMachine::enlist(flow::Waiter& waiter) noexcept {
  waiter_.exchange(&waiter);  // S2
}

bool SourceMachine::withdraw(flow::Waiter& waiter) noexcept {
  flow::Waiter* expected = &waiter;
  if (waiter_.compare_exchange_strong(expected, nullptr)) return true;
  continuations_->post(shared_from_this());  // S3: perhaps nobody looks here
  return false;
}

/// Takes the waiter back; if somebody has it already, its wake-up is on the way and is waited for.
void SourceMachine::leave_line(flow::BlockingWaiter& waiter) noexcept {
  if (!withdraw(waiter)) waiter.wait();
}

/// Nothing: nobody waited.
std::optional<flow::Waiter::Kind> SourceMachine::wake_waiter() noexcept {
  flow::Waiter* const waiter = waiter_.exchange(nullptr);  // S2
  if (waiter == nullptr) return std::nullopt;
  return waiter->wake();
}

// -- The connection's changes.

void SourceMachine::arm(detail::Awaited& connection) noexcept {
  // acquire: S1, pairs with wake().
  if (enlisted_ && !woken_.exchange(false, std::memory_order_acquire)) return;
  enlisted_ = true;
  armed_ = &connection;
  self_ = shared_from_this();
  connection.enlist(*this);
}

void SourceMachine::disarm(detail::Awaited& connection) noexcept {
  if (armed_ != &connection) return;
  armed_ = nullptr;
  // acquire: S1, pairs with wake().
  if (woken_.load(std::memory_order_acquire) || !connection.withdraw(*this)) return;
  enlisted_ = false;
  self_.reset();
}

flow::Waiter::Kind SourceMachine::wake() noexcept {
  const std::shared_ptr<SourceMachine> self = std::move(self_);
  // relaxed: S3, read before others may enlist again.
  const bool reading = reading_.load(std::memory_order_relaxed);
  woken_.store(true, std::memory_order_release);  // release: S1, pairs with arm()
  if (reading) {
    // Who is given events that others read never takes the helm, so it must not be lent.
    const auto woken = wake_waiter();
    if (woken) return overflow_ == Overflow::block ? *woken : Kind::other;
  }
  continuations_->post(self);
  return Kind::other;
}

}  // namespace weir::sse
