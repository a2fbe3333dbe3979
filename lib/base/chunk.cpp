#include "weir/chunk.hpp"

#include <algorithm>
#include <cstring>

#include "base/slab.hpp"

namespace weir {

Chunk::Chunk(const Chunk& other) noexcept : slab_(other.slab_), bytes_(other.bytes_) {
  if (slab_ != nullptr) slab_->retain();
}

Chunk::~Chunk() {
  if (slab_ != nullptr) slab_->release();
}

Chunk Chunk::copy_of(Bytes bytes) {
  if (bytes.empty()) return {};
  auto* const slab = detail::Slab::standalone(bytes.size());
  std::memcpy(slab->data(), bytes.data(), bytes.size());
  slab->committed.store(bytes.size(), std::memory_order_relaxed);  // relaxed: not shared yet
  return Chunk(slab, Bytes(slab->data(), bytes.size()));
}

Chunk Chunk::copy_of(std::string_view text) {
  return copy_of(std::as_bytes(std::span<const char>(text)));
}

Chunk Chunk::slice(std::size_t offset, std::size_t count) const noexcept {
  offset = std::min(offset, size());
  count = std::min(count, size() - offset);
  if (count == 0) return {};
  Chunk part(*this);
  part.bytes_ = bytes_.subspan(offset, count);
  return part;
}

}  // namespace weir
