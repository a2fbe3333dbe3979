#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "flow/waiter.hpp"
#include "weir/error.hpp"
#include "weir/headers.hpp"
#include "weir/reader.hpp"

namespace weir::detail {

/// What a Body holds and a Reader reads: bytes in order, pulled. Network bodies, memory, and
/// later decoders, tees and pipes are each one of these.
///
/// Thread-safety: one thread at a time pulls; `cancel()` and `stats()` from any thread.
class Stream {
 public:
  virtual ~Stream() = default;

  /// At most `max` (> 0) bytes: data, end, or pending when `wait` runs out. Throws the stream's
  /// failure, after all bytes that preceded it, and again each time.
  virtual ReadResult pull(std::size_t max, const flow::Wait& wait) = 0;
  virtual void cancel() noexcept = 0;
  virtual BodyStats stats() const noexcept = 0;
  /// Bytes in all, if known before reading.
  virtual std::optional<std::uint64_t> length() const noexcept = 0;
  virtual Headers trailers() const { return {}; }
  /// A failure of this stream, with what it knows of itself: URL, status, bytes received.
  virtual Failure failure(errc code, std::string detail) const {
    Failure failure;
    failure.code = code;
    failure.detail = std::move(detail);
    failure.bytes_received = stats().received;
    return failure;
  }
};

}  // namespace weir::detail
