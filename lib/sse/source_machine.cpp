#include "sse/source_machine.hpp"

#include <utility>

namespace weir::sse {
namespace {

detail::TimePoint now() noexcept { return detail::Clock::steady().now(); }

constexpr int kEventsAtOnce = 256;  // then others get their turn

std::shared_ptr<detail::ClientLink> checked(detail::ClientState& client,
                                            const EventSourceOptions& options) {
  const auto refuse = [](const char* what) {
    throw Error({.code = errc::invalid_argument, .detail = what});
  };
  if (options.retry < milliseconds(1)) refuse("retry is below 1 ms");
  if (options.max_retry < options.retry) refuse("max_retry is below retry");
  if (options.idle_timeout < milliseconds(0)) refuse("idle_timeout is negative");
  if (options.max_pending_events == 0) refuse("max_pending_events is zero");
  return client.link();
}

}  // namespace

SourceMachine::SourceMachine(detail::ClientState& client, std::string url,
                             EventSourceOptions options)
    : link_(checked(client, options)),
      continuations_(client.continuations()),
      url_(std::move(url)),
      request_(std::move(options.init), options.idle_timeout),
      limits_(options.limits),
      reconnect_(options.reconnect),
      overflow_(options.overflow),
      max_pending_(options.overflow == Overflow::block ? 1 : options.max_pending_events),
      last_event_id_(std::move(options.last_event_id)),
      backoff_(options.retry, options.max_retry),
      chance_(std::random_device()()),
      listeners_{.on_disconnect = std::move(options.on_disconnect),
                 .on_open = std::move(options.on_open),
                 .on_comment = std::move(options.on_comment)} {}

// -- The states, on the continuation thread.

void SourceMachine::run() noexcept {
  std::unique_lock lock(mutex_);
  try {
    while (step(lock)) {
    }
  } catch (...) {
    finish(std::current_exception());
  }
}

/// True: there may be more to do.
bool SourceMachine::step(std::unique_lock<std::mutex>& lock) {
  switch (phase_) {
    case Phase::connecting: return meet_head(lock);
    case Phase::open: return read(lock);
    case Phase::lost: lose(lock); return true;
    case Phase::waiting: return wait_for_time();
    case Phase::closed: return false;
  }
  return false;
}

void SourceMachine::connect() {
  phase_ = Phase::connecting;
  pending_ = link_->begin(url_, request_.next(events_ ? events_->last_event_id() : last_event_id_));
  if (!pending_) finish(std::make_exception_ptr(aborted()));
}

bool SourceMachine::meet_head(std::unique_lock<std::mutex>& lock) {
  if (!pending_->ready()) {
    reading_.store(false, std::memory_order_relaxed);  // relaxed: S3, published by enlisting
    arm(*pending_);
    if (!pending_->ready()) return false;
  }
  disarm(*pending_);
  try {
    take_response(std::exchange(pending_, nullptr)->take());
  } catch (const Error&) {
    be_lost(std::current_exception());
  }
  if (phase_ == Phase::open && listeners_.on_open) tell([this] { listeners_.on_open(); }, lock);
  return true;
}

void SourceMachine::take_response(Response response) {
  Verdict verdict = judge(response, std::chrono::system_clock::now());
  switch (verdict.kind) {
    case Verdict::Kind::over: return finish(nullptr);
    case Verdict::Kind::refused: throw Error(std::move(*verdict.failure));
    case Verdict::Kind::later:
      retry_after_ = verdict.retry_after.value_or(milliseconds(0));  // zero: it named no time
      throw Error(std::move(*verdict.failure));
    case Verdict::Kind::events: break;
  }
  auto stream = detail::ReaderAccess::release(response.body.reader());
  if (events_) {
    count_connection(stats_);
    events_->reconnect(std::move(stream));
  } else {
    events_ = std::make_unique<EventPull>(std::move(stream), limits_, std::move(last_event_id_));
    if (listeners_.on_comment) events_->report_comments();
  }
  backoff_.connected(now());
  phase_ = Phase::open;
  state_.store(EventSource::State::open, std::memory_order_relaxed);
}

void SourceMachine::lose(std::unique_lock<std::mutex>& lock) {
  const std::exception_ptr why = std::exchange(why_, nullptr);
  auto retry_after = std::exchange(retry_after_, std::nullopt);
  if (retry_after == milliseconds(0)) retry_after.reset();
  const double chance = static_cast<double>(chance_() - chance_.min()) /
                        (static_cast<double>(chance_.max() - chance_.min()) + 1);
  const auto retry = events_ ? events_->retry() : std::nullopt;
  const detail::TimePoint lost_at = now();
  due_ = lost_at + backoff_.lost(lost_at, {.retry = retry, .retry_after = retry_after}, chance);
  phase_ = Phase::waiting;
  if (!listeners_.on_disconnect) return;
  const auto report = [&](const Error& error) {
    tell([&] { listeners_.on_disconnect(error); }, lock);
  };
  try {
    if (why) std::rethrow_exception(why);
    report(Error(events_->failure(errc::truncated, "the server ended its response")));
  } catch (const Error& error) {
    report(error);
  }
}

/// After a comment others get their turn.
bool SourceMachine::read(std::unique_lock<std::mutex>& lock) {
  if (borrowed_ != nullptr) return false;
  read_ahead();
  if (!comment_is_due()) return phase_ != Phase::open;
  const std::string comment = events_->take_comment();
  tell([&] { listeners_.on_comment(comment); }, lock);
  continuations_->post(shared_from_this());
  return false;
}

/// Calls what is the program's, without the lock. What it throws, though it must not, ends it.
template <class Call>
void SourceMachine::tell(Call call, std::unique_lock<std::mutex>& lock) {
  reporter_ = std::this_thread::get_id();
  lock.unlock();
  std::exception_ptr thrown;
  try {
    call();
  } catch (...) {
    thrown = std::current_exception();
  }
  lock.lock();
  reporter_ = {};
  reported_.notify_all();
  if (thrown && phase_ != Phase::closed) finish(std::move(thrown));
  if (!abandoned_) return;
  Listeners gone;  // destroyed without the lock
  std::swap(gone, listeners_);
  lock.unlock();
  gone = {};
  lock.lock();
}

bool SourceMachine::wait_for_time() {
  if (now() >= due_) {
    ++stats_.reconnects;
    connect();
    return true;
  }
  if (link_->gone()) {  // which is why this runs too early
    finish(std::make_exception_ptr(aborted()));
  } else {
    continuations_->post_at(shared_from_this(), due_);
  }
  return false;
}

// -- What any thread does that looks for events.

void SourceMachine::look() {
  if (phase_ == Phase::open) {
    read_ahead();
    if (comment_is_due()) hand_over();
    return;
  }
  // relaxed: S3, the look itself is run()'s.
  if (phase_ == Phase::connecting && woken_.load(std::memory_order_relaxed)) hand_over();
}

void SourceMachine::read_ahead() {
  try {
    for (int count = 0; phase_ == Phase::open && has_room(); ++count) {
      if (count == kEventsAtOnce) return continuations_->post(shared_from_this());
      if (!events_->ready()) {
        reading_.store(true, std::memory_order_relaxed);  // relaxed: S3, published by enlisting
        arm(*events_);
        if (!events_->ready()) return;
      }
      if (events_->has_comment()) return;
      EventResult result = events_->pull(flow::Wait::never());
      if (result) add(std::move(result.event));
      if (result.status == ReadStatus::end) be_lost(nullptr);
      if (result.status == ReadStatus::pending) return;
    }
  } catch (...) {
    be_lost(std::current_exception());
  }
}

bool SourceMachine::has_room() const noexcept {
  if (reporter_ != std::thread::id()) return false;
  return overflow_ != Overflow::block || queue_.empty();
}

/// With Overflow::block: the event before it was taken, and the one after it is asked for.
bool SourceMachine::comment_is_due() const noexcept {
  if (phase_ != Phase::open || !events_->has_comment()) return false;
  return overflow_ != Overflow::block || asked_;
}

void SourceMachine::add(Event event) {
  if (queue_.size() == max_pending_) {
    if (overflow_ == Overflow::fail) {
      const std::string limit = std::to_string(max_pending_);
      throw Error(events_->failure(errc::too_large, "max_pending_events = " + limit));
    }
    dropped_.fetch_add(1, std::memory_order_relaxed);
    if (overflow_ == Overflow::drop_newest) return;
    queue_.pop_front();
  }
  queue_.push_back(std::move(event));
  wake_waiter();
}

/// The connection is of no use any more: null if its response has just ended.
void SourceMachine::be_lost(std::exception_ptr why) {
  if (events_ && phase_ == Phase::open) disarm(*events_);
  bool over = reconnect_ == Reconnect::never;
  try {
    if (why) std::rethrow_exception(why);
  } catch (const Error& error) {
    over = over || (is_final(error) && !retry_after_);
  } catch (...) {
    over = true;
  }
  if (over) return finish(std::move(why));
  why_ = std::move(why);
  phase_ = Phase::lost;
  state_.store(EventSource::State::connecting, std::memory_order_relaxed);
  hand_over();
}

/// To run(). Once the client has gone that may not come any more.
void SourceMachine::hand_over() {
  continuations_->post(shared_from_this());
  if (link_->gone()) finish(std::make_exception_ptr(aborted()));
}

void SourceMachine::finish(std::exception_ptr why) noexcept {
  let_go();
  why_ = std::move(why);
  phase_ = Phase::closed;
  state_.store(EventSource::State::closed, std::memory_order_relaxed);
  wake_waiter();
}

void SourceMachine::let_go() noexcept {
  if (pending_) disarm(*pending_);
  if (events_) disarm(*events_);
  if (borrowed_ != nullptr) borrowed_->cancel();
  count_connection(stats_);
  pending_.reset();
  events_.reset();
  continuations_->forget_deadline(*this);
}

/// Adds the figures of the connection.
void SourceMachine::count_connection(EventSourceStats& stats) const noexcept {
  const EventPull* const events = borrowed_ != nullptr ? borrowed_ : events_.get();
  if (events == nullptr || phase_ == Phase::closed) return;
  const BodyStats body = events->stats();
  stats.bytes_received += body.received;
  stats.pauses += body.pauses;
}

Error SourceMachine::aborted() const {
  return Error(failure(errc::aborted, "the Client was destroyed"));
}

}  // namespace weir::sse
