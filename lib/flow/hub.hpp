#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/clock.hpp"
#include "base/slab.hpp"
#include "base/thread_role.hpp"
#include "flow/budget.hpp"
#include "flow/credit_queue.hpp"

namespace weir::flow {

class Channel;

/// Counters over all Channels of one Hub; a snapshot.
struct HubStats {
  std::uint64_t bytes_received = 0;  ///< Accepted from transports, in wire bytes.
  std::uint64_t pauses = 0;
  std::uint64_t resumes = 0;
  /// Bodies that left while paused: cancelled, failed, or ended.
  std::uint64_t cancelled_while_paused = 0;
  std::uint64_t paused = 0;  ///< Right now; pauses == resumes + cancelled_while_paused + paused.
  std::uint64_t rings = 0;   ///< Times readers rang the bell.
  std::size_t queue_memory = 0;
  std::size_t peak_queue_memory = 0;
};

/// What one I/O thread and all the Channels it feeds have in common: the credit queue that readers
/// report through, the memory budget, the slab pool, and the bell that wakes the I/O thread.
///
/// Lifetime: shared by the driver and by each of its Channels, which may outlive it. After
/// `close()` signals are dropped. Whoever makes a Hub closes it.
/// Thread-safety: `budget`'s and `credits`' own, `stats()`, `rings()` and `ring()` from any thread;
/// members that require `io` from its holder.
class Hub {
 public:
  Hub(std::size_t memory_budget, const detail::Clock& clock);
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;
  virtual ~Hub();

  /// Makes the I/O thread run `process()` soon. Never blocks. The I/O thread silences its bell
  /// before it calls `process()`, not after. May be called from any thread as long as the Hub
  /// lives.
  virtual void ring() noexcept = 0;

  /// For a thread that would sleep until `there` is true of `channel`: may do the I/O thread's work
  /// meanwhile. False: `there` does not hold, because `deadline` has passed or others do that work.
  using There = bool (Channel::*)() noexcept;
  virtual bool work_until([[maybe_unused]] Channel& channel, [[maybe_unused]] There there,
                          [[maybe_unused]] detail::TimePoint deadline) {
    return false;
  }

  /// Handles every signal that readers left: cancels, resumes, and then the bodies that wait for
  /// the budget, first come first served. Call it from the top of the loop, never from a
  /// transport's callback:
  /// it calls Producer members. It rings by itself if it wants to be called again.
  void process() WEIR_REQUIRES(io);
  /// Wakes the readers of all Channels that changed since the last call; how many of them were
  /// threads that slept. Call it once per loop turn.
  std::size_t flush() WEIR_REQUIRES(io);
  /// Ends signalling for good, when the driver goes. Channels that end or fail later wake their
  /// readers at once.
  void close() WEIR_REQUIRES(io);

  std::uint64_t rings() const noexcept;  ///< Times readers rang the bell.
  std::uint64_t bytes_received() const noexcept;
  HubStats stats() const noexcept;

  detail::ThreadRole io;
  const detail::Clock& clock;
  detail::SlabPool* const slabs;  // one reference
  Budget budget;
  CreditQueue credits;

 private:
  friend class Channel;
  struct BudgetNode : CreditNode {};

  /// Any thread: has process() look at `node`.
  void post(std::shared_ptr<CreditNode> node) noexcept;
  /// Any thread: `bytes` of slabs have left a queue.
  void give_back(std::size_t bytes) noexcept;
  void mark_dirty(Channel& channel) noexcept WEIR_REQUIRES(io);

  // Counters, all relaxed: statistics that order nothing.
  std::atomic<std::uint64_t> bytes_received_{0};
  std::atomic<std::uint64_t> pauses_{0};
  std::atomic<std::uint64_t> resumes_{0};
  std::atomic<std::uint64_t> cancelled_while_paused_{0};
  std::atomic<std::uint64_t> rings_{0};

  BudgetNode budget_node_;  // linked when memory was given back that bodies wait for
  std::shared_ptr<Channel> dirty_first_ WEIR_GUARDED_BY(io);  // linked by Channel::dirty_next_
  Channel* dirty_last_ WEIR_GUARDED_BY(io) = nullptr;
  bool closed_ WEIR_GUARDED_BY(io) = false;
};

}  // namespace weir::flow
