#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/clock.hpp"

namespace weir::detail {

/// A place in `Deadlines`. Must be out of it before it is destroyed.
class DeadlineNode {
 public:
  TimePoint due() const noexcept { return due_; }

 private:
  friend class Deadlines;
  static constexpr std::size_t kOut = static_cast<std::size_t>(-1);

  TimePoint due_ = TimePoint::max();
  std::size_t index_ = kOut;
};

/// Points in time, the earliest first: a binary heap whose members know their place, so that
/// changing one is O(log n) and allocates nothing.
/// Thread-safety: one thread.
class Deadlines {
 public:
  /// Makes room for `count` nodes, so that set() throws nothing. Throws std::bad_alloc.
  void reserve(std::size_t count);
  /// Puts `node` at `due`; `TimePoint::max()` takes it out. Throws std::bad_alloc without room.
  void set(DeadlineNode& node, TimePoint due);
  void remove(DeadlineNode& node) noexcept;
  TimePoint next() const noexcept { return heap_.empty() ? TimePoint::max() : heap_.front()->due_; }
  /// Takes out the earliest that is due at `now`; null if none is.
  DeadlineNode* take_expired(TimePoint now) noexcept;
  std::size_t size() const noexcept { return heap_.size(); }

 private:
  void place(std::size_t index, DeadlineNode* node) noexcept {
    heap_[index] = node;
    node->index_ = index;
  }
  void rise(std::size_t index, DeadlineNode* node) noexcept;
  void sink(std::size_t index, DeadlineNode* node) noexcept;

  std::vector<DeadlineNode*> heap_;
};

}  // namespace weir::detail
