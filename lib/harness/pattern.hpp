#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "weir/harness/firehose.hpp"

namespace weir::harness {

/// A window on pattern bodies: computes them where they are not at hand already. One serves all
/// connections of a thread, since a write that was cut short continues inside the same window.
/// Memory: kSize. Thread-safety: one thread.
class PatternWindow {
 public:
  static constexpr std::size_t kSize = 128 * 1024;  // bytes; stays in the L2 cache

  PatternWindow();
  /// The bytes from `offset` on: at most `most`, at least one. Lifetime: until the next call.
  std::span<const std::byte> at(std::uint64_t seed, std::uint64_t offset, std::size_t most);

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::uint64_t seed_ = 0;
  std::uint64_t offset_ = 0;
  std::size_t size_ = 0;
};

}  // namespace weir::harness
