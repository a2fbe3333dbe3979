#pragma once

#include <cstdint>
#include <string>

#include "harness/encoder.hpp"
#include "harness/plan.hpp"

namespace weir::harness {

/// A pattern, or zeros, content-encoded as it is sent.
/// Memory: what the encoders take (brotli: some MiB), and about 64 KiB ahead.
/// Thread-safety: one thread.
class EncodedBody {
 public:
  explicit EncodedBody(const BodyPlan& plan);

  /// Encodes until there is something at hand, or all of it is.
  void fill();
  bool ended() const noexcept { return finished_ && bytes.empty(); }

  std::string bytes;  // encoded and not sent: who sends erases them

 private:
  const EncodedPlan plan_;
  const std::uint64_t seed_;
  EncoderChain encoders_;
  std::uint64_t offset_ = 0;  // of the content
  bool finished_ = false;
};

}  // namespace weir::harness
