#include "api/tee.hpp"

#include <new>

#include "api/blocking.hpp"
#include "base/clock.hpp"
#include "base/slab.hpp"

namespace weir::detail {

Tee::Tee(std::unique_ptr<Stream> source, std::size_t lag)
    : lag_(lag), source_(std::move(source)), length_(source_->length()), continuations_(*source_) {}

ReadResult Tee::take(Side side, std::size_t max) {
  Wakes wakes;
  const std::lock_guard lock(mutex_);
  Branch& mine = at(side);
  mine.last_reader = std::this_thread::get_id();
  if (mine.refused) mine.refused.rethrow();
  if (mine.gone) throw Error(failure(errc::aborted, "cancelled"));
  if (!over_ && !pulling_ && source_->discarded()) discard();
  if (!mine.queue.empty()) {
    Chunk& front = mine.queue.front();
    ReadResult result{ReadStatus::data, front.slice(0, max)};
    front = front.slice(max);
    if (front.empty()) mine.queue.pop_front();
    mine.given += result.chunk.size();
    const bool held_up = mine.queued > lag_;
    mine.queued -= result.chunk.size();
    if (held_up && mine.queued <= lag_) wakes.add(at(opposite(side)).waiter);
    return result;
  }
  if (!over_) return {.status = ReadStatus::pending};
  mine.finished = true;
  if (failure_) failure_.rethrow();
  return {.status = ReadStatus::end};
}

/// The other one is too far behind.
bool Tee::is_held_up(Side side) const noexcept {
  const Branch& other = at(opposite(side));
  return !other.gone && other.queued > lag_;
}

bool Tee::advance(Side side) noexcept {
  bool something = false;
  if (!begin_pulling(side, something)) return something;
  ReadResult result{.status = ReadStatus::pending};
  KeptFailure thrown;
  try {
    if (source_->ready()) result = source_->pull(kPiece, flow::Wait::never());
  } catch (...) {
    thrown.keep_current();
  }
  end_pulling(side, result, thrown);
  return result.status != ReadStatus::pending || thrown;
}

/// False: there is nothing to do, and `result` is what a look shall say.
bool Tee::begin_pulling(Side side, bool& result) noexcept {
  bool enlist = false;
  bool whole = false;
  {
    const std::lock_guard lock(mutex_);
    const Branch& mine = at(side);
    const Branch& other = at(opposite(side));
    result = over_ || mine.gone || !mine.queue.empty();
    if (result) return false;
    if (pulling_) refused_ = true;
    if (pulling_ || is_held_up(side)) return false;
    pulling_ = true;
    if (!enlisted_ && (mine.waiter != nullptr || other.waiter != nullptr)) {
      enlist = enlisted_ = true;
      self_ = shared_from_this();
    }
    whole = !told_whole_ && mine.whole && (other.whole || other.gone);
    told_whole_ = told_whole_ || whole;
  }
  if (whole) source_->expect_whole();
  if (enlist) source_->enlist(*this);
  return true;
}

void Tee::end_pulling(Side side, ReadResult& result, const KeptFailure& thrown) noexcept {
  bool out_of_memory = false;
  {
    Wakes wakes;
    const std::lock_guard lock(mutex_);
    pulling_ = false;
    Branch& other = at(opposite(side));
    failure_ = thrown;
    over_ = thrown || result.status == ReadStatus::end;
    if (failure_.is(errc::aborted)) discard();
    if (result) {
      try {
        deliver(other, result.chunk);
        deliver(at(side), result.chunk);
      } catch (const std::bad_alloc&) {
        failure_.keep_current();
        over_ = out_of_memory = true;
      }
    }
    if (std::exchange(refused_, false) || over_ || result) wakes.add(other.waiter);
  }
  if (out_of_memory) source_->cancel();
}

void Tee::deliver(Branch& branch, const Chunk& chunk) {
  if (branch.gone) return;
  if (branch.queue.empty()) {
    branch.queue.push_back(chunk);
  } else if (!Slab::join(branch.queue.back(), chunk)) {
    const Chunk piece = branch.pack.pack(chunk);
    if (!Slab::join(branch.queue.back(), piece)) branch.queue.push_back(piece);
  }
  branch.queued += chunk.size();
}

/// What came before an abort is not delivered.
void Tee::discard() noexcept {
  for (Branch& branch : branches_) {
    branch.queue.clear();
    branch.queued = 0;
  }
}

void Tee::enlist(Side side, flow::Waiter& waiter) noexcept {
  const std::lock_guard lock(mutex_);
  at(side).waiter = &waiter;
}

bool Tee::withdraw(Side side, flow::Waiter& waiter) noexcept {
  const std::lock_guard lock(mutex_);
  Branch& mine = at(side);
  if (mine.waiter != &waiter) return false;
  mine.waiter = nullptr;
  return true;
}

flow::Waiter::Kind Tee::wake() noexcept {
  std::shared_ptr<Tee> self;
  Wakes wakes;
  {
    const std::lock_guard lock(mutex_);
    self = std::move(self_);
    enlisted_ = false;
    for (Branch& branch : branches_) wakes.add(branch.waiter);
  }
  return wakes.now();
}

bool Tee::is_stuck(Side side, std::thread::id thread) const noexcept {
  const std::lock_guard lock(mutex_);
  const Branch& mine = at(side);
  const Branch& other = at(opposite(side));
  if (over_ || mine.gone || !mine.queue.empty()) return false;
  if (!is_held_up(side)) return !pulling_ && source_->is_stuck(thread);
  const bool nobody_else = other.last_reader == std::thread::id() || other.last_reader == thread;
  return other.waiter == nullptr && nobody_else;
}

void Tee::refuse(Side side, errc code, std::string detail) {
  const Error error(failure(code, std::move(detail)));
  leave(side);
  const std::lock_guard lock(mutex_);
  try {
    throw Error(error);
  } catch (const Error&) {
    at(side).refused.keep_current();
  }
}

void Tee::cancel(Side side) noexcept { leave(side); }

void Tee::leave(Side side) noexcept {
  Wakes wakes;
  std::deque<Chunk> discarded;
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    Branch& mine = at(side);
    Branch& other = at(opposite(side));
    if (mine.gone || mine.finished) return;
    mine.gone = true;
    discarded.swap(mine.queue);
    mine.queued = 0;
    wakes.add(mine.waiter);
    wakes.add(other.waiter);
    last = other.gone && !over_;
  }
  if (last) source_->cancel();
}

void Tee::drop(Side side) noexcept {
  leave(side);
  std::shared_ptr<Tee> self;
  {
    const std::lock_guard lock(mutex_);
    at(side).gone = true;
    if (--held_ > 0) return;
  }
  {
    const bool withdrawn = source_->withdraw(*this);
    const std::lock_guard lock(mutex_);
    if (withdrawn) self = std::move(self_);
  }
  source_.reset();
  continuations_.stop();
}

void Tee::expect_whole(Side side) noexcept {
  const std::lock_guard lock(mutex_);
  at(side).whole = true;
}

bool Tee::discarded(Side side) const noexcept {
  const std::lock_guard lock(mutex_);
  const Branch& mine = at(side);
  return mine.gone || failure_.is(errc::aborted) || (!over_ && !pulling_ && source_->discarded());
}

BodyStats Tee::stats(Side side) const noexcept {
  BodyStats stats = source_->stats();
  const std::lock_guard lock(mutex_);
  stats.decoded = at(side).given;
  return stats;
}

Headers Tee::trailers(Side side) const {
  const std::lock_guard lock(mutex_);
  return at(side).finished && !failure_ ? source_->trailers() : Headers();
}

ReadResult TeeStream::pull(std::size_t max, const flow::Wait& wait) {
  const bool endless = wait.deadline == TimePoint::max() && !wait.stop.stop_possible();
  for (;;) {
    if (wait.stop.stop_requested()) return {.status = ReadStatus::stopped};
    ReadResult result = tee_->take(side_, max);
    if (result.status != ReadStatus::pending) return result;
    if (ready()) continue;
    if (!wait.block) return result;
    const TimePoint limit = endless ? Clock::steady().now() + patience_ : wait.deadline;
    const Woken woken = block_until_ready(*this, wait, limit);
    if (woken == Woken::stopped) return {.status = ReadStatus::stopped};
    if (woken == Woken::ready) continue;
    if (!endless) return {.status = ReadStatus::pending};
    if (is_stuck(std::this_thread::get_id())) {
      tee_->refuse(side_, errc::would_deadlock, "the other branch of the tee is not read");
    }
  }
}

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> make_tee(
    std::unique_ptr<Stream> source, std::size_t lag, std::chrono::nanoseconds patience) {
  const auto tee = std::make_shared<Tee>(std::move(source), lag);
  auto first = std::make_unique<TeeStream>(tee, Tee::Side::first, patience);
  return {std::move(first), std::make_unique<TeeStream>(tee, Tee::Side::second, patience)};
}

}  // namespace weir::detail
