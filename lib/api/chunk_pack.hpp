#pragma once

#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>

#include "base/slab.hpp"
#include "weir/chunk.hpp"

namespace weir::detail {

/// Copies of small Chunks, one behind the other in slabs of their own, so that what waits for long
/// does not keep for each of them the slab that it came in.
/// Memory: one slab of 4 KiB, beside those that Chunks hold. Thread-safety: one thread at a time.
class ChunkPack {
 public:
  static constexpr std::size_t kSmall = Slab::kSmallest / 4;  // bytes: less is copied

  /// `chunk` itself, or a copy that follows the one before. Throws std::bad_alloc.
  Chunk pack(const Chunk& chunk) {
    const std::size_t size = chunk.size();
    if (size == 0 || size >= kSmall) return chunk;
    std::size_t used = slab_ ? slab_->committed.load(std::memory_order_relaxed) : 0;
    if (!slab_ || slab_->capacity() - used < size) {
      slab_.reset(Slab::standalone(Slab::kSmallest));
      used = 0;
    }
    std::memcpy(slab_->data() + used, chunk.bytes().data(), size);
    // relaxed: the Chunk is handed on with whatever orders that.
    slab_->committed.store(used + size, std::memory_order_relaxed);
    return slab_->chunk(used, size);
  }

 private:
  struct Release {
    void operator()(Slab* slab) const noexcept { slab->release(); }
  };
  std::unique_ptr<Slab, Release> slab_{};
};

}  // namespace weir::detail
