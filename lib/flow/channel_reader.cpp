#include <cassert>
#include <new>
#include <utility>

#include "flow/channel.hpp"

// The reader's end of a Channel, and what any thread may do. The invariants are those of
// channel.cpp.

namespace weir::flow {

// -- The reader's end.

template <class Attempt>
ReadStatus Channel::wait_for(const Wait& wait, Hub::There there, Attempt&& attempt) {
  for (;;) {
    if (wait.stop.stop_requested()) return ReadStatus::stopped;
    if (attempt()) return ReadStatus::data;
    if (!wait.block) return ReadStatus::pending;
    const bool drives = !wait.stop.stop_possible();
    if (drives && hub_->work_until(*this, there, wait.deadline)) continue;
    BlockingWaiter waiter(drives ? Waiter::Kind::thread : Waiter::Kind::other);
    enlist(waiter);
    if (attempt_again(waiter, attempt)) return ReadStatus::data;
    if (drives && wait.deadline == detail::TimePoint::max()) {
      waiter.wait();
      continue;
    }
    const std::stop_callback on_stop(wait.stop, [&waiter]() noexcept { waiter.interrupt(); });
    const auto why = waiter.wait_until(wait.deadline);
    if (why == BlockingWaiter::Why::woken) continue;
    leave_line(waiter);
    if (why == BlockingWaiter::Why::interrupted) return ReadStatus::stopped;
    return attempt() ? ReadStatus::data : ReadStatus::pending;
  }
}

template <class Attempt>
bool Channel::attempt_again(BlockingWaiter& waiter, Attempt&& attempt) {
  bool done;
  try {
    done = attempt();
  } catch (...) {
    leave_line(waiter);
    throw;
  }
  if (done) leave_line(waiter);
  return done;
}

/// Takes the waiter back; if somebody has it already, its wake-up is on the way and is waited for.
void Channel::leave_line(BlockingWaiter& waiter) noexcept {
  if (!withdraw(waiter)) waiter.wait();
}

void Channel::enlist(Waiter& waiter) noexcept {
  // acq_rel: C7, pairs with wake_reader().
  [[maybe_unused]] Waiter* const other = waiter_.exchange(&waiter, std::memory_order_acq_rel);
  assert(other == nullptr && "two threads read one body");
}

bool Channel::withdraw(Waiter& waiter) noexcept {
  Waiter* expected = &waiter;
  // relaxed: nothing is published.
  return waiter_.compare_exchange_strong(expected, nullptr, std::memory_order_relaxed);
}

/// True: it was a thread that slept, and may drive.
bool Channel::wake_reader() noexcept {
  // acq_rel: C7, pairs with wait_for().
  Waiter* const waiter = waiter_.exchange(nullptr, std::memory_order_acq_rel);
  return waiter != nullptr && waiter->wake() == Waiter::Kind::thread;
}

bool Channel::wait_open(const Wait& wait) {
  return wait_for(wait, &Channel::head_ready, [this] { return try_open(); }) == ReadStatus::data;
}

bool Channel::head_ready() noexcept {
  // acquire: as try_open().
  return cancelled() || opened_.load(std::memory_order_acquire) || ended();
}

bool Channel::try_open() {
  throw_if_cancelled();
  // acquire: C6, pairs with finish() and open(). `last_` first: a failure comes after open().
  const Last last = last_.load(std::memory_order_acquire);
  if (opened_.load(std::memory_order_acquire)) return true;
  if (last == Last::none) return false;
  ReadResult result;
  conclude(last, result);
  return true;
}

ReadResult Channel::take(std::size_t max, const Wait& wait) {
  assert(max > 0);
  note_reading(Reading::by_pieces);
  ReadResult result{ReadStatus::pending, {}};
  const ReadStatus status = wait_for(wait, &Channel::ready, [&] { return try_take(max, result); });
  if (status != ReadStatus::data) result.status = status;
  return result;
}

bool Channel::ready() noexcept {
  if (cancelled() || ended() || !enter()) return true;
  const bool some = queue_.has_bytes() || (!queue_.vacate() && queue_.has_bytes());
  const std::size_t released = queue_.released();
  leave();
  hub_->give_back(released);
  return some;
}

bool Channel::try_take(std::size_t max, ReadResult& result) {
  throw_if_cancelled();
  // acquire: C6, before the queue. Pairs with finish().
  Last last = last_.load(std::memory_order_acquire);
  if (!enter()) {  // somebody discards
    throw_if_cancelled();
    last = last_.load(std::memory_order_acquire);  // acquire: as above
    assert(last == Last::aborted && "two threads read one body");
    conclude(last, result);
    return true;
  }
  Chunk chunk = queue_.take(max);
  if (chunk.empty() && !queue_.vacate()) chunk = queue_.take(max);
  const std::size_t released = queue_.released();
  leave();
  hub_->give_back(released);
  if (!chunk.empty()) {
    credit(chunk.size());
    result = {ReadStatus::data, std::move(chunk)};
    return true;
  }
  if (last == Last::none) return false;
  conclude(last, result);
  return true;
}

/// The queue is empty and stays so.
void Channel::conclude(Last last, ReadResult& result) {
  Fate fate = Fate::open;
  if (!fate_.compare_exchange_strong(fate, Fate::finished) && fate == Fate::cancelled) {
    throw_aborted();
  }
  if (last == Last::failure || last == Last::aborted) throw Error(failure_);
  if (last == Last::out_of_memory) throw std::bad_alloc();
  result.status = ReadStatus::end;
}

void Channel::throw_if_cancelled() const {
  if (cancelled()) throw_aborted();
}

void Channel::throw_aborted() const {
  Failure failure;
  failure.code = errc::aborted;
  failure.detail = "cancelled";
  failure.bytes_received = received_.load(std::memory_order_relaxed);  // relaxed: a statistic
  throw Error(std::move(failure));
}

void Channel::note_reading(Reading how) noexcept {
  // relaxed: the reader's own.
  if (reading_.load(std::memory_order_relaxed) >= how) return;
  reading_.store(how);
  if (resume_at_.load() != kNever) post();  // C4
}

void Channel::credit(std::size_t bytes) noexcept {
  const std::uint64_t drained = drained_.fetch_add(bytes) + bytes;
  if (drained >= resume_at_.load()) post();  // C2
}

// -- Any thread.

void Channel::post() noexcept { hub_->post(shared_from_this()); }

void Channel::cancel() noexcept {
  Fate fate = Fate::open;
  if (!fate_.compare_exchange_strong(fate, Fate::cancelled)) return;
  const bool told = ended();  // first: then the discard finds all that was ever offered
  discard();
  if (!told) post();
  wake_reader();
}

bool Channel::cancelled() const noexcept { return fate_.load() == Fate::cancelled; }

bool Channel::discarded() const noexcept {
  // relaxed: take() will look again.
  return cancelled() || last_.load(std::memory_order_relaxed) == Last::aborted;
}

bool Channel::enter() noexcept {
  // acq_rel: C9, hands the consumer's end from one to the next; pairs with leave().
  return inside_.fetch_add(1, std::memory_order_acq_rel) == 0;
}

void Channel::leave() noexcept {
  for (std::uint32_t mine = 1;;) {
    // acq_rel: C9, as enter().
    const std::uint32_t asked = inside_.fetch_sub(mine, std::memory_order_acq_rel) - mine;
    if (asked == 0) return;
    queue_.discard();
    hub_->give_back(queue_.released());
    mine = asked;
  }
}

void Channel::discard() noexcept {
  if (!enter()) return;
  queue_.discard();
  hub_->give_back(queue_.released());
  leave();
}

}  // namespace weir::flow
