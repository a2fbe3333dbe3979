#pragma once

#include <cstddef>
#include <span>

#include "base/slab.hpp"
#include "weir/chunk.hpp"

namespace weir::decode {

/// The slabs that a decoder writes into, handed out as Chunks without a copy. Small pieces share a
/// slab; slabs grow from 4 to 64 KiB as they are filled at once.
///
/// Memory: one slab, beside those that Chunks hold, and free ones of kRetained bytes at most.
/// Thread-safety: one thread at a time.
class Output {
 public:
  static constexpr std::size_t kRetained = std::size_t{88} << 10;  // one of each size

  Output() : pool_(detail::SlabPool::create(kRetained)) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() {
    release();
    pool_->release();
  }

  /// Where to write next: at least 1 KiB, at most 64 KiB. Throws std::bad_alloc.
  std::span<std::byte> room();
  /// The first `count` bytes (> 0) of the last room.
  Chunk commit(std::size_t count) noexcept;
  /// Gives up the open slab.
  void release() noexcept;

 private:
  detail::SlabPool* const pool_;
  detail::Slab* slab_ = nullptr;
  std::size_t used_ = 0;  // bytes of slab_
  std::size_t next_ = detail::Slab::kSmallest;
};

}  // namespace weir::decode
