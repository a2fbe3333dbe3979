#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "api/awaited.hpp"
#include "flow/waiter.hpp"
#include "weir/error.hpp"
#include "weir/headers.hpp"
#include "weir/reader.hpp"

namespace weir::detail {

/// What a Body holds and a Reader reads: bytes in order, pulled. Network bodies, memory, decoded
/// bodies, the branches of tees, and pipes are each one of these.
///
/// Thread-safety: one thread at a time pulls; `cancel()` and `stats()` from any thread.
class Stream : public Awaited {
 public:
  /// At most `max` (> 0) bytes: data, end, or when `wait` ends pending or stopped. Throws the
  /// stream's failure, after all bytes that preceded it, and again each time.
  virtual ReadResult pull(std::size_t max, const flow::Wait& wait) = 0;
  virtual void cancel() noexcept = 0;
  /// What is left was thrown away: pull() throws aborted. The reading thread's.
  virtual bool discarded() const noexcept { return false; }
  virtual BodyStats stats() const noexcept = 0;
  /// Bytes in all, if known before reading.
  virtual std::optional<std::uint64_t> length() const noexcept = 0;
  /// All that is left will be pulled, whatever the marks, up to a limit of the caller's.
  virtual void expect_whole() noexcept {}
  virtual Headers trailers() const { return {}; }
  /// A blocking read on `thread` would wait for a read of another body that nobody else will do.
  virtual bool is_stuck(std::thread::id) const noexcept { return false; }
  /// A failure of this stream, with what it knows of itself: URL, status, bytes received.
  virtual Failure failure(errc code, std::string detail) const {
    Failure failure;
    failure.code = code;
    failure.detail = std::move(detail);
    failure.bytes_received = stats().received;
    return failure;
  }
};

/// A Stream whose pull() never has to wait.
class ReadyStream : public Stream {
 public:
  bool ready() noexcept final { return true; }
  void enlist(flow::Waiter&) noexcept final {}
  bool withdraw(flow::Waiter&) noexcept final { return true; }
  const std::shared_ptr<flow::Continuations>& continuations() const noexcept final {
    return nowhere_;
  }

 private:
  const std::shared_ptr<flow::Continuations> nowhere_;
};

/// Reaches into a Reader.
struct ReaderAccess {
  static std::unique_ptr<Stream> release(Reader&& reader) noexcept {
    return std::move(reader.stream_);
  }
};

}  // namespace weir::detail
