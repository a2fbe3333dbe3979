#pragma once

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/slab.hpp"
#include "flow/atomics.hpp"
#include "weir/chunk.hpp"

namespace weir::flow {

/// Bytes in order from one producer to one consumer, without a lock, in slabs. The producer goes on
/// filling a slab while the consumer takes slices of it, so that small writes share one; the
/// consumer takes the open slab away when it has emptied it, so that an idle queue holds no memory.
///
/// Invariants:
///  S1  Each slab in the queue has one reference, the queue's. The consumer drops it after the
///      producer's last touch: once `next` is set, or once it has turned `open_` from idle to gone.
///  S2  `committed` only grows, with bytes below it written before; `next` is set after the last
///      commit, so a consumer that sees `next` and then `committed` sees all of that slab.
///  S3  `open_` is (version, state). idle: the tail may be filled, or taken away. busy: the
///      producer is at it. gone: there is no tail, and the next slab is published through `first_`.
///      Only the producer leaves gone and busy, and each append makes a new version.
///  S4  The consumer reads `open_` before it finds the queue empty, and changes that very version
///      from idle to gone: if it succeeds nothing was appended since.
///  S5  `first_` is set only while gone, which the consumer said after it had cleared `first_`.
///
/// Thread-safety: the producer's members by one thread at a time, the consumer's by one thread at a
/// time.
template <class Atomics>
class BasicSlabQueue {
 public:
  BasicSlabQueue() = default;
  BasicSlabQueue(const BasicSlabQueue&) = delete;
  BasicSlabQueue& operator=(const BasicSlabQueue&) = delete;
  ~BasicSlabQueue() {
    release_chain(spare_);
    release_chain(head_ != nullptr ? head_ : first_.load(std::memory_order_relaxed));
  }

  // -- The producer's end. prepare(), then commit().

  /// Makes room for `size` bytes (> 0), in slabs of `worth` bytes if that is more. The allocated
  /// bytes that commit() will add. Throws std::bad_alloc, and then nothing has changed.
  std::size_t prepare(std::size_t size, std::size_t worth, detail::SlabPool& pool) {
    claim();
    const std::size_t room = tail_ != nullptr ? tail_->capacity() - filled_ : 0;
    if (size <= room) return 0;
    try {
      return allocate(size - room, worth, pool);
    } catch (...) {
      release_chain(std::exchange(spare_, nullptr));
      unclaim();
      throw;
    }
  }

  /// Appends exactly the `size` bytes that were prepared.
  void commit(Bytes data) noexcept {
    if (tail_ != nullptr) data = fill(data);
    if (!data.empty()) {
      detail::Slab* const fresh = std::exchange(spare_, nullptr);
      detail::Slab* last = fresh;
      for (;; last = last->next.load(std::memory_order_relaxed)) {  // relaxed: not published yet
        filled_ = std::min(data.size(), last->capacity());
        std::memcpy(last->data(), data.data(), filled_);
        // relaxed: published with the slab, below.
        last->committed.store(filled_, std::memory_order_relaxed);
        data = data.subspan(filled_);
        if (data.empty()) break;
      }
      // release: the new slabs and all bytes in them (S2, S5), pairs with the acquire loads in
      // advance() and adopt().
      Atomics::store(tail_ != nullptr ? tail_->next : first_, fresh, std::memory_order_release);
      tail_ = last;
    }
    ++version_;
    unclaim();
  }

  // -- The consumer's end.

  /// At most `max` (> 0) bytes, all from one slab; an empty Chunk if there are none.
  Chunk take(std::size_t max) noexcept {
    if (!adopt()) return {};
    for (;;) {
      // acquire: the bytes below it (S2), pairs with the release in fill().
      const std::size_t committed = Atomics::load(head_->committed, std::memory_order_acquire);
      if (committed == offset_) {
        if (!advance()) return {};
        continue;
      }
      const std::size_t count = std::min(max, committed - offset_);
      Chunk chunk = head_->chunk(offset_, count);
      offset_ += count;
      if (offset_ == head_->capacity()) advance();  // gives a spent slab back at once
      return chunk;
    }
  }

  /// True: take() would bring bytes.
  bool has_bytes() noexcept { return adopt() && !nothing_to_take(); }

  /// Lets go of the last slab if the queue is empty. False: bytes came meanwhile, or
  /// the producer is at it just now.
  bool vacate() noexcept {
    if (!adopt()) return true;
    // acquire: what was committed up to this version (S4), pairs with the release in unclaim().
    std::uint64_t open = Atomics::load(open_, std::memory_order_acquire);
    if ((open & kState) != kIdle) return false;
    // acquire: as in take() and advance().
    if (Atomics::load(head_->committed, std::memory_order_acquire) != offset_) return false;
    if (Atomics::load(head_->next, std::memory_order_acquire) != nullptr) return false;
    // release: `first_` was cleared (S5), pairs with the acquire in claim(). relaxed on
    // failure: nothing is read after it.
    if (!Atomics::compare_exchange(open_, open, (open & ~kState) | kGone, std::memory_order_release,
                                   std::memory_order_relaxed)) {
      return false;
    }
    drop_head(nullptr);
    return true;
  }

  /// Throws away what is there.
  void discard() noexcept {
    do {
      while (!take(static_cast<std::size_t>(-1)).empty()) {
      }
    } while (!vacate() && !nothing_to_take());
  }

  /// Allocated bytes of the slabs let go since the last call.
  std::size_t released() noexcept { return std::exchange(released_, 0); }

 private:
  static constexpr std::uint64_t kState = 3;
  static constexpr std::uint64_t kIdle = 0;
  static constexpr std::uint64_t kBusy = 1;
  static constexpr std::uint64_t kGone = 2;

  void claim() noexcept {
    if (tail_ == nullptr) return;
    std::uint64_t open = version_ << 2 | kIdle;
    // acquire: on failure, the consumer has cleared `first_` (S5); pairs with the release in
    // vacate(). On success the slab is ours already, and nobody else writes it (S3).
    if (Atomics::compare_exchange(open_, open, version_ << 2 | kBusy, std::memory_order_acquire,
                                  std::memory_order_acquire)) {
      return;
    }
    assert((open & kState) == kGone);
    tail_ = nullptr;
  }

  /// A tail that was gone stays so until there is a new one.
  void unclaim() noexcept {
    if (tail_ == nullptr) return;
    // release: all that was committed (S4), pairs with the acquire in vacate().
    Atomics::store(open_, version_ << 2 | kIdle, std::memory_order_release);
  }

  std::size_t allocate(std::size_t size, std::size_t worth, detail::SlabPool& pool) {
    std::size_t allocated = 0;
    for (detail::Slab* last = nullptr; size > 0;) {
      detail::Slab* const slab = pool.acquire(std::max(size, worth));
      // relaxed: not published yet.
      if (last != nullptr) last->next.store(slab, std::memory_order_relaxed);
      if (last == nullptr) spare_ = slab;
      last = slab;
      allocated += slab->allocated();
      size -= std::min(size, slab->capacity());
    }
    return allocated;
  }

  Bytes fill(Bytes data) noexcept {
    const std::size_t count = std::min(data.size(), tail_->capacity() - filled_);
    if (count == 0) return data;
    std::memcpy(tail_->data() + filled_, data.data(), count);
    filled_ += count;
    // release: the bytes (S2), pairs with the acquire in take().
    Atomics::store(tail_->committed, filled_, std::memory_order_release);
    return data.subspan(count);
  }

  /// True: there is a head, which may be exhausted.
  bool adopt() noexcept {
    if (head_ != nullptr) return true;
    // acquire: the slab and its bytes (S5), pairs with the release in commit().
    head_ = Atomics::load(first_, std::memory_order_acquire);
    if (head_ == nullptr) return false;
    // relaxed: published to the producer by vacate() (S5).
    Atomics::store(first_, nullptr, std::memory_order_relaxed);
    return true;
  }

  /// On to the slab after an exhausted head. False: there is none. True: look at the head again.
  bool advance() noexcept {
    // acquire: the last commit of the head (S2) and all of the next, pairs with the release in
    // commit().
    detail::Slab* const next = Atomics::load(head_->next, std::memory_order_acquire);
    if (next == nullptr) return false;
    // relaxed: ordered by the load above (S2).
    if (Atomics::load(head_->committed, std::memory_order_relaxed) == offset_) drop_head(next);
    return true;
  }

  bool nothing_to_take() noexcept {
    // acquire: as in take() and advance().
    return Atomics::load(head_->committed, std::memory_order_acquire) == offset_ &&
           Atomics::load(head_->next, std::memory_order_acquire) == nullptr;
  }

  void drop_head(detail::Slab* next) noexcept {
    released_ += head_->allocated();
    head_->release();
    head_ = next;
    offset_ = 0;
  }

  static void release_chain(detail::Slab* slab) noexcept {
    while (slab != nullptr) {
      // relaxed: one thread only is left, or the chain is not published.
      detail::Slab* const next = slab->next.load(std::memory_order_relaxed);
      slab->release();
      slab = next;
    }
  }

  // The producer's.
  detail::Slab* tail_ = nullptr;
  std::size_t filled_ = 0;
  std::uint64_t version_ = 0;
  detail::Slab* spare_ = nullptr;  // prepared
  // The consumer's.
  detail::Slab* head_ = nullptr;
  std::size_t offset_ = 0;
  std::size_t released_ = 0;
  // Shared.
  std::atomic<std::uint64_t> open_{kGone};
  std::atomic<detail::Slab*> first_{nullptr};
};

using SlabQueue = BasicSlabQueue<StdAtomics>;

}  // namespace weir::flow
