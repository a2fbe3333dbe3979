#pragma once

#include <atomic>
#include <cstddef>
#include <string>

#include "api/stream.hpp"

namespace weir::detail {

/// Bytes that are at hand already: request bodies, and what has no body.
///
/// Memory: the text, and a copy of at most one slab (64 KiB) for each Chunk handed out.
/// Thread-safety: as Stream.
class MemoryStream final : public ReadyStream {
 public:
  explicit MemoryStream(std::string text) noexcept : text_(std::move(text)) {}

  ReadResult pull(std::size_t max, const flow::Wait& wait) override;
  void cancel() noexcept override { cancelled_.store(true, std::memory_order_relaxed); }
  bool discarded() const noexcept override { return cancelled_.load(std::memory_order_relaxed); }
  BodyStats stats() const noexcept override;
  std::optional<std::uint64_t> length() const noexcept override { return text_.size(); }

  /// All of it, to be sent. Throws aborted after `cancel()`.
  std::string release() &&;

 private:
  void check_not_cancelled() const;

  std::string text_;
  // Both relaxed: neither publishes anything. position_ is written by the reading thread alone.
  std::atomic<std::size_t> position_{0};
  std::atomic<bool> cancelled_{false};
  bool ended_ = false;  // the end was delivered; the reading thread's
};

}  // namespace weir::detail
