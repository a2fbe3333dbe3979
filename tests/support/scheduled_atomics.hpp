#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace weir::test {

/// Runs tasks as threads of which one at a time moves, and decides from a seed, before each of
/// their atomic operations, which one: the same seed, the same interleaving.
///
/// It explores sequential consistency only; what weaker orders allow is for ThreadSanitizer.
/// A task must not block on another but by an atomic operation that it repeats.
class Schedule {
 public:
  explicit Schedule(std::uint64_t seed) : random_(seed) {}

  /// Returns when all have.
  void run(std::vector<std::function<void()>> tasks) {
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      turns_.push_back(std::make_unique<Turn>());
      alive_.push_back(i);
    }
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      threads.emplace_back([this, i, task = std::move(tasks[i])] {
        turns_[i]->acquire();
        current = this;
        me = i;
        task();
        current = nullptr;
        std::erase(alive_, i);
        if (!alive_.empty()) turns_[pick()]->release();
      });
    }
    if (!threads.empty()) turns_[pick()]->release();
    for (auto& thread : threads) thread.join();
  }

  /// A number below `limit`, from the seed: for choices that the tasks make.
  std::size_t below(std::size_t limit) { return random_() % limit; }

  /// Another task may go on here. Does nothing outside of run().
  static void yield() {
    if (current != nullptr) current->hand_over();
  }

 private:
  /// Not a std::binary_semaphore, whose acquire() yields at first: on a busy machine for a whole
  /// slice of somebody else's, each time.
  class Turn {
   public:
    void release() {
      const std::lock_guard lock(mutex_);
      given_ = true;
      changed_.notify_one();
    }
    void acquire() {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return given_; });
      given_ = false;
    }

   private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool given_ = false;
  };

  std::size_t pick() { return alive_[below(alive_.size())]; }
  void hand_over() {
    const std::size_t self = me;
    const std::size_t next = pick();
    if (next == self) return;
    turns_[next]->release();
    turns_[self]->acquire();
  }

  static inline thread_local Schedule* current = nullptr;
  static inline thread_local std::size_t me = 0;

  std::mt19937_64 random_;  // this and below: the task whose turn it is
  std::vector<std::unique_ptr<Turn>> turns_;
  std::vector<std::size_t> alive_;
};

/// The Atomics policy of flow/atomics.hpp with a Schedule around the operations: before each, and
/// after those that hand something over, so that it also comes between them and plain accesses.
struct ScheduledAtomics {
  template <class T>
  static T load(const std::atomic<T>& at, std::memory_order order) {
    Schedule::yield();
    return at.load(order);
  }
  template <class T>
  static void store(std::atomic<T>& at, std::type_identity_t<T> value, std::memory_order order) {
    Schedule::yield();
    at.store(value, order);
    Schedule::yield();
  }
  template <class T>
  static T exchange(std::atomic<T>& at, std::type_identity_t<T> value, std::memory_order order) {
    Schedule::yield();
    const T before = at.exchange(value, order);
    Schedule::yield();
    return before;
  }
  template <class T>
  static bool compare_exchange(std::atomic<T>& at, T& expected, std::type_identity_t<T> desired,
                               std::memory_order success, std::memory_order failure) {
    Schedule::yield();
    const bool done = at.compare_exchange_strong(expected, desired, success, failure);
    Schedule::yield();
    return done;
  }
};

}  // namespace weir::test
