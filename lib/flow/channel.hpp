#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

#include "flow/budget.hpp"
#include "flow/credit_queue.hpp"
#include "flow/hub.hpp"
#include "flow/queue.hpp"
#include "flow/waiter.hpp"
#include "flow/watermarks.hpp"
#include "weir/error.hpp"
#include "weir/reader.hpp"

namespace weir::flow {

/// The transport behind a Channel. Called by the Hub on the I/O thread, from the top of the loop.
class Producer {
 public:
  /// Go on: the Channel is no longer paused. May call `offer()` before it returns.
  virtual void resume_transfer() = 0;
  /// The reader is gone or has cancelled. Called at most once, and not after end() or fail().
  virtual void cancel_transfer() = 0;

 protected:
  ~Producer() = default;
};

/// A bounded byte pipe with watermarks between the I/O thread, which offers what arrives,
/// and one reading thread, which takes it: the only place where the two meet.
///
/// | state  | event                                  | next   | action                            |
/// |--------|----------------------------------------|--------|-----------------------------------|
/// | flow   | offer(), outstanding < effective high  | flow   | append                            |
/// | flow   | offer() that completes the body        | flow   | append, never paused              |
/// | flow   | offer(), outstanding >= effective high | paused | publish, recheck, refuse all      |
/// | paused | credits: outstanding < effective low   | flow   | Producer::resume_transfer()       |
/// | paused | first read, paused at the unread mark  | flow   | the same, if below effective high |
/// | paused | budget given back, and first in line   | flow   | the same                          |
/// | any    | cancel()                               | gone   | disarm, cancel_transfer()         |
/// | any    | end(), fail(), attach(nullptr)         | ended  | disarm; the queue stays readable  |
///
/// outstanding = received - drained, in wire bytes on both sides.
/// effective high = min(reading ? high : unread_high, budget share), or the share alone once
/// take_whole() was called; the share is at least 1.
/// effective low = low, or min(low, effective high / 4) where the effective high is below `high`;
/// at least 1. A body with nothing outstanding may always take one write, whatever the marks.
/// A body that ends, fails or is dropped while paused counts as cancelled while paused.
///
/// Memory: the queue holds at most the effective high water + two writes (32 KiB), in slabs that
/// waste at most two slabs' worth (64 KiB each), and no slab while it is empty and its
/// reader waits.
/// Thread-safety: by role. `io` members: the holder of hub->io. Reader members: one thread at a
/// time. The rest: any thread.
/// Lifetime: shared by its two ends; it must be owned by a shared_ptr. Signals under way and a
/// place in the budget's line keep it alive. `attach(nullptr)` before the Producer goes.
class Channel : public CreditNode,
                public BudgetWaiter,
                public std::enable_shared_from_this<Channel> {
 public:
  static constexpr std::size_t kOneWrite = flow::kOneWrite;
  /// With so much outstanding the reader is woken at once, not at the end of the turn.
  static constexpr std::size_t kWakeAt = std::size_t{512} << 10;

  Channel(std::shared_ptr<Hub> hub, Watermarks marks);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  virtual ~Channel();

  // -- The producer's end. All require io.

  /// Who to tell of resumes and cancels; null once the transport is done with this Channel, which
  /// then waits for nothing more. If it was cancelled before, cancel_transfer() follows from the
  /// top of the loop.
  void attach(Producer* producer);
  /// What precedes the bytes is ready: wait_open() returns.
  void open();
  enum class Offer { accepted, paused };
  /// Takes all of `data`, or refuses all of it and is paused. `completes`: these are the last bytes
  /// of a body of known length, which is never paused. Throws std::bad_alloc, having taken nothing.
  /// A disarmed Channel accepts everything and keeps nothing.
  Offer offer(Bytes data, bool completes = false);
  /// The end, after all bytes offered. The first of end(), fail() and cancel() counts.
  void end();
  /// With errc::aborted it discards what is queued; any other failure comes after those bytes.
  void fail(Failure failure);
  void fail_out_of_memory();  ///< Readers get std::bad_alloc.
  bool paused() const noexcept;
  bool ended() const noexcept;  ///< end() or fail() was called. Any thread.

  // -- The reader's end: one thread at a time.

  /// Waits until open() or a failure, which it throws. False: `wait` ran out or was stopped.
  bool wait_open(const Wait& wait);
  /// Takes at most `max` (> 0) bytes, all from one slab, without a copy. Throws the Channel's
  /// failure once the queue is empty, and aborted at once after cancel().
  ReadResult take(std::size_t max, const Wait& wait);
  /// The first read, said before a wait that takes nothing: the unread mark is in force no more.
  void begin_reading() noexcept { note_reading(Reading::by_pieces); }
  /// Everything will be taken, up to a limit of the reader's own: from now on there is no high
  /// water mark but the budget's share.
  void take_whole() noexcept { note_reading(Reading::whole); }

  // -- To wait without blocking. The reader's end as well.

  bool head_ready() noexcept;  ///< wait_open() would not wait. Once true it stays so.
  bool ready() noexcept;       ///< take() would not wait. True until the next take().
  /// Has `waiter` woken at the next change. Look again after it: what changed before may have gone
  /// unnoticed. One at a time.
  void enlist(Waiter& waiter) noexcept;
  /// Takes `waiter` back. False: it is being woken, or was.
  bool withdraw(Waiter& waiter) noexcept;

  // -- Any thread.

  /// Reads and waits throw aborted from now on; what is queued is discarded; the producer is told.
  /// Does nothing once the reader has met the end or the failure.
  void cancel() noexcept;
  bool cancelled() const noexcept;
  bool discarded() const noexcept;  ///< Cancelled or failed with aborted: nothing is left.
  BodyStats stats() const noexcept;

  const std::shared_ptr<Hub>& hub() const noexcept { return hub_; }

 private:
  friend class Hub;
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
  enum class Last : std::uint8_t { none, end, failure, aborted, out_of_memory };
  enum class Fate : std::uint8_t { open, cancelled, finished };
  enum class Reading : std::uint8_t { not_yet, by_pieces, whole };
  struct Marks {
    std::size_t high, low;  // in force now
    bool reading;           // the first read has happened
    bool by_budget;         // the budget is what limits
  };

  // io
  std::uint64_t outstanding() const noexcept;
  Marks marks_now() const noexcept;
  bool arm() noexcept WEIR_REQUIRES(hub_->io);
  void disarm() noexcept WEIR_REQUIRES(hub_->io);
  void accept(Bytes data) WEIR_REQUIRES(hub_->io);
  void set_paused(bool paused) noexcept;
  void unpause(std::atomic<std::uint64_t>& reason) noexcept;
  void go_on() noexcept WEIR_REQUIRES(hub_->io);
  void resume() WEIR_REQUIRES(hub_->io);
  void finish(Last last) noexcept;
  void handle_credit();
  void budget_grew() override;

  // reader
  bool try_open();
  bool try_take(std::size_t max, ReadResult& result);
  void conclude(Last last, ReadResult& result);
  void throw_if_cancelled() const;
  [[noreturn]] void throw_aborted() const;
  template <class Attempt>
  ReadStatus wait_for(const Wait& wait, Hub::There there, Attempt&& attempt);
  template <class Attempt>
  bool attempt_again(BlockingWaiter& waiter, Attempt&& attempt);
  void leave_line(BlockingWaiter& waiter) noexcept;
  void note_reading(Reading how) noexcept;
  void credit(std::size_t bytes) noexcept;

  // any thread
  void post() noexcept;
  bool wake_reader() noexcept;
  bool enter() noexcept;
  void leave() noexcept;
  void discard() noexcept;

  const std::shared_ptr<Hub> hub_;
  const Watermarks marks_;

  SlabQueue queue_;  // producer's end: io; consumer's end: whoever has entered
  Failure failure_;  // written before last_, constant afterwards

  // Written by io, read by anyone. Without a number of an invariant: statistics, relaxed.
  std::atomic<std::uint64_t> received_{0};        // C1
  std::atomic<std::uint64_t> resume_at_{kNever};  // C2
  std::atomic<Last> last_{Last::none};            // C6
  std::atomic<bool> opened_{false};               // C6
  std::atomic<std::uint64_t> peak_{0};
  std::atomic<std::uint64_t> pauses_{0};
  std::atomic<std::uint64_t> resumes_{0};
  // Nanoseconds times 2, + 1 while paused: then add twice the clock to get the time paused in all.
  std::atomic<std::int64_t> paused_for_{0};

  // Written by the reader, read by anyone.
  std::atomic<std::uint64_t> drained_{0};           // C2
  std::atomic<Reading> reading_{Reading::not_yet};  // C4

  // Written by anyone.
  std::atomic<Fate> fate_{Fate::open};    // C8
  std::atomic<Waiter*> waiter_{nullptr};  // C7
  std::atomic<std::uint32_t> inside_{0};  // C9

  Producer* producer_ WEIR_GUARDED_BY(hub_->io) = nullptr;
  bool disarmed_ WEIR_GUARDED_BY(hub_->io) = false;
  bool at_unread_mark_ WEIR_GUARDED_BY(hub_->io) =
      false;            // paused before the first read, which resumes
  bool dirty_ = false;  // this and below: io, by way of the Hub
  std::shared_ptr<Channel> dirty_next_;
};

}  // namespace weir::flow
