#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "weir/chunk.hpp"

namespace weir::detail {

class SlabPool;

/// A reference-counted block of memory: one writer appends, any number of Chunks share what
/// is committed. Header and bytes are one allocation. In a pool the room is a power of two, so that
/// what a transport offers at once (16 KiB) fills a slab and wastes none.
///
/// Invariants: bytes below `committed` never change. `next` is set at most once, after
/// the last commit, and owns nothing here: who links slabs releases them. A Slab belongs to its
/// pool's size class, or (copies) to no pool.
/// Thread-safety: one thread appends; the rest from any thread.
class Slab {
 public:
  static constexpr std::size_t kSmallest = std::size_t{4} << 10;  // bytes of room
  static constexpr std::size_t kLargest = std::size_t{64} << 10;

  /// A slab of no pool with room for exactly `capacity` bytes; one reference.
  /// Throws std::bad_alloc.
  static Slab* standalone(std::size_t capacity);

  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  void retain() noexcept;
  void release() noexcept;  ///< The last one returns it to its pool, or frees it.

  std::byte* data() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  std::size_t capacity() const noexcept { return capacity_; }  ///< Bytes of room.
  std::size_t allocated() const noexcept { return capacity_ + sizeof(Slab); }

  /// A Chunk of [offset, offset + count), which must be committed; it holds a reference, unless it
  /// is empty.
  Chunk chunk(std::size_t offset, std::size_t count) noexcept;
  /// Makes one Chunk of two that follow each other in one slab. False: they do not.
  static bool join(Chunk& front, const Chunk& back) noexcept;

  std::atomic<std::size_t> committed{0};  ///< Bytes that readers may look at.
  std::atomic<Slab*> next{nullptr};       ///< The queue's link.

 private:
  friend class SlabPool;
  Slab(SlabPool* pool, std::size_t capacity) noexcept : pool_(pool), capacity_(capacity) {}
  ~Slab() = default;

  std::atomic<std::uint32_t> references_{1};
  SlabPool* pool_;  // holds a reference on it while in use; null: none
  std::size_t capacity_;
};

/// Recycles slabs, the most recently used first so that they are still in cache. Size classes
/// are powers of two from kSmallest to kLargest, of room.
///
/// Memory: keeps at most `retained` bytes of free slabs; none beyond what was in use at once.
/// Thread-safety: all members, from any thread.
/// Lifetime: counted; slabs in use keep it alive, so Chunks may outlive their Client.
class SlabPool {
 public:
  static constexpr std::size_t kRetained = std::size_t{4} << 20;  // bytes: what one body may queue

  /// One reference. Throws std::bad_alloc.
  static SlabPool* create(std::size_t retained = kRetained);
  void retain() noexcept;
  void release() noexcept;

  /// A slab, as new, with room for at least `capacity` bytes if kLargest has that, else of
  /// kLargest; one reference. Throws std::bad_alloc.
  Slab* acquire(std::size_t capacity);
  std::size_t retained() const noexcept;  ///< Bytes of free slabs kept now.

 private:
  friend class Slab;
  static constexpr std::size_t kClasses = 5;

  explicit SlabPool(std::size_t retained) noexcept : most_retained_(retained) {}
  ~SlabPool();
  void recycle(Slab* slab) noexcept;

  const std::size_t most_retained_;  // bytes
  std::atomic<std::uint32_t> references_{1};
  mutable std::mutex mutex_;
  Slab* free_[kClasses] = {};  // guarded by mutex_; linked by Slab::next
  std::size_t retained_ = 0;   // guarded by mutex_
};

}  // namespace weir::detail
