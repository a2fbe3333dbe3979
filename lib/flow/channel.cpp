#include "flow/channel.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

// Invariants. "io" is the holder of hub->io; operations named without an order are seq_cst.
//
//  C1  `received_` counts bytes before they can be taken, so `drained_` never exceeds it.
//  C2  No credit is lost: io stores `resume_at_`, then loads `drained_`; the reader adds to
//      `drained_`, then loads `resume_at_`. In the single order of seq_cst operations one of the
//      two sees the other:
//      io finds the condition gone and does not pause, or the reader posts.
//  C3  A posted node is handled after what was written before the post (Q3 of credit_queue.hpp),
//      and a handler that does not resume arms again: C2 holds anew, for the marks in force then.
//  C4  The first read stores `reading_`, then loads `resume_at_`; io stores `resume_at_`, then
//      loads `reading_`. As C2.
//  C5  No memory given back is lost: who limits by the budget joins its line (adds to `waiters`),
//      then loads `held`; who gives back subtracts from `held`, then loads `waiters`. As C2. The
//      marks that were published are those of the `held` loaded last, else io publishes again.
//  C6  `failure_` and all bytes are complete before `last_` is stored; what precedes the bytes
//      before `opened_`. The reader loads `last_` before it looks into the queue, so an end
//      that it reports has no bytes behind it.
//  C7  No wake-up is lost: io completes a change, then exchanges `waiter_`; the reader exchanges
//      its waiter in (enlist), then looks again. Exchanges of one atomic have one order: the later
//      reads from the earlier. So either the waiter is found and woken, or the second look sees
//      the change. A waiter that is taken back (withdraw) is not woken; one that is gone from
//      `waiter_` already will be.
//  C8  `fate_` leaves `open` once: the reader has met the end, or somebody has cancelled.
//  C9  The consumer's end of the queue belongs to who raised `inside_` from zero, until it has
//      subtracted all of it; who raised it from elsewhere has asked for a discard, and leaves it to
//      them.
//
// The reader's end is in channel_reader.cpp.
//
// A Spin model of C2 to C5 with the credit queue is in tests/model. It explores sequential
// consistency; that C2, C4 and C5 need no more is because every operation they name is seq_cst.

namespace weir::flow {

namespace {

std::int64_t twice_nanoseconds(detail::TimePoint now) noexcept {
  return 2 * std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
}

}  // namespace

Channel::Channel(std::shared_ptr<Hub> hub, Watermarks marks) : hub_(std::move(hub)), marks_(marks) {
  assert(marks.low > 0 && marks.low <= marks.high);
  assert(marks.unread_high > 0 && marks.unread_high <= marks.high);
}

Channel::~Channel() {
  // Nobody else is left, but for readers of the hub's counters.
  if (paused()) unpause(hub_->cancelled_while_paused_);
  queue_.discard();
  hub_->give_back(queue_.released());
}

// -- The producer's end.

void Channel::attach(Producer* producer) {
  hub_->io.assert_here();
  producer_ = producer;
  if (producer != nullptr) {
    if (cancelled()) post();
  } else {
    disarm();
    if (paused()) unpause(hub_->cancelled_while_paused_);
  }
}

void Channel::open() {
  hub_->io.assert_here();
  opened_.store(true, std::memory_order_release);  // release: C6, pairs with try_open()
  hub_->mark_dirty(*this);
}

Channel::Offer Channel::offer(Bytes data, bool completes) {
  hub_->io.assert_here();
  assert(!ended());
  if (disarmed_ || cancelled() || data.empty()) return Offer::accepted;
  if (!completes && (paused() || outstanding() >= marks_now().high) && arm()) {
    if (!paused()) set_paused(true);
    return Offer::paused;
  }
  accept(data);
  if (paused()) go_on();  // the transport has tried again by itself
  return Offer::accepted;
}

void Channel::accept(Bytes data) {
  const std::uint64_t queued = outstanding();
  // Slabs grow with the queue, but not beyond what it may hold.
  const auto worth = std::min<std::uint64_t>(queued, hub_->budget.share(drained_.load()) / 4);
  const std::size_t added =
      queue_.prepare(data.size(), static_cast<std::size_t>(worth), *hub_->slabs);
  if (added != 0) hub_->budget.add(added);
  // relaxed: C1, published by the release of `committed` in the commit.
  received_.store(received_.load(std::memory_order_relaxed) + data.size(),
                  std::memory_order_relaxed);
  peak_.store(std::max(peak_.load(std::memory_order_relaxed), queued + data.size()),
              std::memory_order_relaxed);
  hub_->bytes_received_.fetch_add(data.size(), std::memory_order_relaxed);
  queue_.commit(data);
  hub_->mark_dirty(*this);
  // A turn may bring several MiB: the reader begins before it is over.
  if (queued < kWakeAt && queued + data.size() >= kWakeAt) wake_reader();
}

std::uint64_t Channel::outstanding() const noexcept {
  // relaxed: io's own.
  return received_.load(std::memory_order_relaxed) - drained_.load();
}

Channel::Marks Channel::marks_now() const noexcept {
  const Reading reading = reading_.load();
  const std::size_t share = hub_->budget.share(drained_.load());
  if (reading == Reading::whole) return {share, quarter(share), true, true};
  const std::size_t own = reading == Reading::not_yet ? marks_.unread_high : marks_.high;
  Marks now{std::min(own, share), marks_.low, reading != Reading::not_yet, share < own};
  if (now.high < marks_.high) now.low = std::min(now.low, quarter(now.high));
  return now;
}

/// Publishes what would resume this body, and looks again. False: it need not pause, or may go on;
/// then it is disarmed. (C2, C4, C5)
bool Channel::arm() noexcept {
  if (!paused()) at_unread_mark_ = reading_.load() == Reading::not_yet;
  std::uint64_t published = kNever;
  bool in_line = false;
  for (;;) {
    const Marks now = marks_now();
    const bool first_read = at_unread_mark_ && now.reading;
    if (outstanding() < (first_read ? now.high : now.low)) break;
    if (first_read) at_unread_mark_ = false;  // it was not enough: the low mark, from now on
    // At least `low` bytes are outstanding, so as many were received. relaxed: io's own.
    const std::uint64_t wanted = received_.load(std::memory_order_relaxed) - now.low + 1;
    if (wanted == published && now.by_budget == in_line) return true;
    published = wanted;
    in_line = now.by_budget;
    resume_at_.store(wanted);
    if (now.by_budget) {
      hub_->budget.join(shared_from_this());
    } else {
      hub_->budget.leave(*this);
    }
  }
  disarm();
  return false;
}

void Channel::disarm() noexcept {
  resume_at_.store(kNever);
  hub_->budget.leave(*this);
}

bool Channel::paused() const noexcept {
  return (paused_for_.load(std::memory_order_relaxed) & 1) != 0;  // relaxed: written by io only
}

void Channel::set_paused(bool paused_now) noexcept {
  const std::int64_t before = paused_for_.load(std::memory_order_relaxed);
  const std::int64_t now = twice_nanoseconds(hub_->clock.now());
  paused_for_.store(paused_now ? before - now + 1 : before + now - 1, std::memory_order_relaxed);
  if (!paused_now) return;
  pauses_.fetch_add(1, std::memory_order_relaxed);
  hub_->pauses_.fetch_add(1, std::memory_order_relaxed);
}

void Channel::unpause(std::atomic<std::uint64_t>& reason) noexcept {
  set_paused(false);
  // release: after the pause that it ends, pairs with Hub::stats().
  reason.fetch_add(1, std::memory_order_release);
}

void Channel::go_on() noexcept {
  disarm();
  resumes_.fetch_add(1, std::memory_order_relaxed);
  unpause(hub_->resumes_);
}

void Channel::resume() {
  go_on();
  if (producer_ != nullptr) producer_->resume_transfer();
}

void Channel::end() { finish(Last::end); }

void Channel::fail(Failure failure) {
  hub_->io.assert_here();
  if (ended()) return;
  const bool abort = failure.code == errc::aborted;
  failure_ = std::move(failure);
  finish(abort ? Last::aborted : Last::failure);
  if (abort) discard();
}

void Channel::fail_out_of_memory() { finish(Last::out_of_memory); }

void Channel::finish(Last last) noexcept {
  hub_->io.assert_here();
  if (ended()) return;
  disarmed_ = true;
  disarm();
  if (paused()) unpause(hub_->cancelled_while_paused_);
  last_.store(last, std::memory_order_release);  // release: C6, pairs with the loads of the reader
  hub_->mark_dirty(*this);
}

bool Channel::ended() const noexcept {
  // acquire: cancel() discards all that was offered before; pairs with finish().
  return last_.load(std::memory_order_acquire) != Last::none;
}

/// The reader has left a signal.
void Channel::handle_credit() {
  hub_->io.assert_here();
  if (cancelled()) {
    if (!std::exchange(disarmed_, true)) {
      disarm();
      if (paused()) unpause(hub_->cancelled_while_paused_);
    }
    discard();  // what an offer() may have added while cancel() discarded
    Producer* const producer = ended() ? nullptr : std::exchange(producer_, nullptr);
    if (producer != nullptr) producer->cancel_transfer();
  } else if (paused() && !arm()) {
    resume();
  }
}

void Channel::budget_grew() {
  hub_->io.assert_here();
  if (paused() && !arm()) resume();
}

// -- Any thread.

BodyStats Channel::stats() const noexcept {
  BodyStats now;
  // Not one moment's values, so they are made to agree: acquire, received is at least what
  // was drained (C1); and what is queued was never more than the peak. relaxed: statistics.
  now.drained = drained_.load(std::memory_order_acquire);
  now.received = received_.load(std::memory_order_relaxed);
  now.peak_queued = static_cast<std::size_t>(peak_.load(std::memory_order_relaxed));
  if (!cancelled() && last_.load(std::memory_order_relaxed) != Last::aborted) {
    now.queued = static_cast<std::size_t>(
        std::min<std::uint64_t>(now.received - now.drained, now.peak_queued));
    now.drained = now.received - now.queued;
  }
  now.decoded = now.drained;
  now.resumes = resumes_.load(std::memory_order_relaxed);
  now.pauses = pauses_.load(std::memory_order_relaxed);
  const std::int64_t paused_for = paused_for_.load(std::memory_order_relaxed);
  now.paused = (paused_for & 1) != 0;
  now.paused_for = std::chrono::nanoseconds(
      (now.paused ? paused_for + twice_nanoseconds(hub_->clock.now()) : paused_for) / 2);
  return now;
}

}  // namespace weir::flow
