#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

namespace weir::flow {

class Budget;

/// The most that a transport offers at once, in bytes (CURL_MAX_WRITE_SIZE).
inline constexpr std::size_t kOneWrite = std::size_t{16} << 10;

/// A paused body that waits for memory. All members belong to io.
class BudgetWaiter {
 public:
  BudgetWaiter() = default;
  BudgetWaiter(const BudgetWaiter&) = delete;
  BudgetWaiter& operator=(const BudgetWaiter&) = delete;

 protected:
  ~BudgetWaiter() = default;

 private:
  friend class Budget;
  /// Memory was given back: leave the line and go on, or stay in it. May join or leave others.
  virtual void budget_grew() = 0;

  BudgetWaiter* before_ = nullptr;
  BudgetWaiter* after_ = nullptr;
  std::shared_ptr<void> keep_;  // itself, while in line
};

/// Queue memory shared by the bodies of one client, by a dynamic threshold: each may hold an eighth
/// of what nobody holds, so that many stalled bodies leave room for an active one. The last eighth
/// of the limit is for bodies that are known to be read. What would be less than a write is
/// one write at a time, so that no body ever waits for another one to be read.
///
/// Memory: with n bodies `held()` stays below the limit + 3n slabs of one write: who may hold a
/// write at a time has one, one that is just being emptied, and the last of a known length,
/// which is never paused; larger slabs are at most a quarter of a share.
/// Thread-safety: `give_back()` and the const members from any thread, the rest by the holder of
/// io.
class Budget {
 public:
  /// Bodies looked at in one serve(), so that a long line never holds up the loop.
  static constexpr std::size_t kVisits = 64;
  /// Bytes read of a body that may use the whole of the limit.
  static constexpr std::uint64_t kKnownToBeRead = std::uint64_t{1} << 20;

  explicit Budget(std::size_t limit) noexcept : limit_(limit) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  std::size_t limit() const noexcept { return limit_; }
  std::size_t held() const noexcept {
    return held_.load();
  }  ///< Allocated bytes of slabs in queues.
  std::size_t peak() const noexcept {
    return peak_.load(std::memory_order_relaxed);  // relaxed: a statistic
  }
  /// Bodies in line.
  std::size_t waiters() const noexcept { return waiters_.load(); }
  /// At how many bytes a body shall pause of which `drained` bytes were read. 1: as soon as it
  /// holds something.
  std::size_t share(std::uint64_t drained) const noexcept {
    const std::size_t taken = held() + (drained < kKnownToBeRead ? limit_ / 8 : 0);
    const std::size_t part = taken < limit_ ? (limit_ - taken) / 8 : 0;
    return part < kOneWrite ? 1 : part;
  }

  /// A slab is about to enter a queue: called before its consumer can see it, so that `held`
  /// never runs below zero.
  void add(std::size_t bytes) noexcept;
  /// A slab has left its queue. True: somebody may be waiting for it, and io must be told.
  [[nodiscard]] bool give_back(std::size_t bytes) noexcept {
    held_.fetch_sub(bytes);       // seq_cst, before the load: Dekker with join() then share()
    return waiters_.load() != 0;  // (C5 in channel.cpp)
  }

  /// At the end of the line; in line already, it keeps its place.
  void join(std::shared_ptr<BudgetWaiter> waiter) noexcept;
  void leave(BudgetWaiter& waiter) noexcept;
  /// Starts from the head of the line again, the next time serve() is called.
  void start_over() noexcept { again_ = true; }
  /// Lets at most kVisits of the waiting see whether they can go on, in the order they came.
  /// True: not all have been asked yet; call it again soon.
  bool serve();
  /// Sends everybody home.
  void clear() noexcept;

 private:
  const std::size_t limit_;
  std::atomic<std::size_t> held_{0};
  std::atomic<std::size_t> peak_{0};  // written by io
  std::atomic<std::size_t> waiters_{0};
  BudgetWaiter* first_ = nullptr;  // this and below: io
  BudgetWaiter* last_ = nullptr;
  BudgetWaiter* cursor_ = nullptr;  // the next to ask in a pass under way
  std::size_t to_ask_ = 0;          // how many the pass still has to ask: those who came before it
  bool again_ = false;
};

}  // namespace weir::flow
