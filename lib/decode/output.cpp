#include "decode/output.hpp"

#include <algorithm>
#include <utility>

namespace weir::decode {
namespace {

constexpr std::size_t kLeastRoom = 1024;  // bytes

}  // namespace

std::span<std::byte> Output::room() {
  if (slab_ != nullptr && slab_->capacity() - used_ < kLeastRoom) release();
  if (slab_ == nullptr) {
    slab_ = pool_->acquire(next_);
    used_ = 0;
  }
  return {slab_->data() + used_, slab_->capacity() - used_};
}

Chunk Output::commit(std::size_t count) noexcept {
  const std::size_t start = used_;
  used_ += count;
  if (start == 0 && used_ == slab_->capacity()) {
    next_ = std::min(4 * slab_->capacity(), detail::Slab::kLargest);
  }
  slab_->committed.store(used_, std::memory_order_relaxed);  // relaxed: only read by this thread
  return slab_->chunk(start, count);
}

void Output::release() noexcept {
  if (slab_ != nullptr) std::exchange(slab_, nullptr)->release();
}

}  // namespace weir::decode
