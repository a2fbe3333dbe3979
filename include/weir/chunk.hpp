#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "weir/export.hpp"

namespace weir {

using Bytes = std::span<const std::byte>;

namespace detail {
class Slab;
}

/// An immutable run of bytes. Copying shares the memory; nothing is copied.
///
/// Memory: a Chunk that came from a body pins the whole slab it is a part of (4 to
/// 64 KiB), beyond the body's own bound. Copy small pieces that live long.
/// Thread-safety: distinct Chunks may be used from different threads, also if they
/// share memory; one Chunk object may not be changed while another thread uses it.
/// Lifetime: `bytes()` and `text()` are valid as long as any Chunk shares the memory; a
/// Chunk may outlive its Body, Reader and Client.
class WEIR_API Chunk {
 public:
  Chunk() noexcept = default;
  Chunk(const Chunk& other) noexcept;
  Chunk(Chunk&& other) noexcept
      : slab_(std::exchange(other.slab_, nullptr)), bytes_(std::exchange(other.bytes_, {})) {}
  Chunk& operator=(Chunk other) noexcept {
    std::swap(slab_, other.slab_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Chunk();

  /// Copies the bytes into memory of its own, none for no bytes. Throws std::bad_alloc.
  static Chunk copy_of(Bytes bytes);
  static Chunk copy_of(std::string_view text);

  std::size_t size() const noexcept { return bytes_.size(); }
  bool empty() const noexcept { return bytes_.empty(); }
  Bytes bytes() const noexcept { return bytes_; }
  /// The bytes as characters; they need not be valid UTF-8, nor end with a NUL.
  std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }
  /// A part of this Chunk, sharing its memory. `offset` past the end gives an empty
  /// Chunk, which pins nothing; `count` is cut at the end.
  Chunk slice(std::size_t offset, std::size_t count = static_cast<std::size_t>(-1)) const noexcept;

 private:
  friend class detail::Slab;
  Chunk(detail::Slab* owned, Bytes bytes) noexcept : slab_(owned), bytes_(bytes) {}

  detail::Slab* slab_ = nullptr;  // one reference, or null
  Bytes bytes_;
};

}  // namespace weir
