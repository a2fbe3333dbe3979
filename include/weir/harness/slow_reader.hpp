#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "weir/body.hpp"
#include "weir/chunk.hpp"
#include "weir/error.hpp"
#include "weir/fetch.hpp"
#include "weir/reader.hpp"

namespace weir::harness {

/// How slowly to read. The default reads as fast as bytes come and digests them.
struct SlowReaderOptions {
  std::uint64_t rate = 0;     ///< Bytes/s at most, in steps of about 50 ms; 0: no limit.
  std::size_t read_size = 0;  ///< Bytes in one read at most; 0: whatever has arrived, one Chunk.
  /// Stops reading once, after so many bytes, for `stall_for`. 0: before the first read.
  std::optional<std::uint64_t> stall_after{};
  std::chrono::milliseconds stall_for{0};
  /// Cancels the body after so many bytes (after the stall, if both are due).
  std::optional<std::uint64_t> cancel_after{};
  bool sha256 = true;
  /// Gets all bytes in order. If it throws, the body is cancelled and the exception passes through.
  std::function<void(Bytes)> sink{};
  /// Called when the stall begins.
  std::function<void()> on_stall{};
  /// Called every 50 ms or so while bytes are read or the reader rests, and at the end.
  std::function<void(const BodyStats&)> watch{};
  /// Ends a rest at once and cancels the body: error aborted.
  std::stop_token stop{};
};

struct SlowReaderReport {
  std::optional<Failure>
      failure{};            ///< What ended the body early; a cancel that was asked for does not.
  bool cancelled = false;   ///< `cancel_after` was reached.
  std::uint64_t bytes = 0;  ///< Read.
  std::string sha256{};     ///< Of those bytes, lower-case hex; empty if not wanted.
  std::chrono::nanoseconds elapsed{0};
  std::chrono::nanoseconds stalled_for{0};  ///< Part of `elapsed`.
  BodyStats body{};                         ///< At the end.
  BodyStats at_stall{};                     ///< When the stall was over.
  ClientStats client{};                     ///< At the end.
};

/// The reference slow consumer: reads `body`, which came from `client`, to its end, at the pace of
/// `options`, on the calling thread; the callbacks run there too.
/// Memory: one buffer of `read_size`, with a `rate` 256 KiB at most; nothing that is read is kept.
/// Throws what a callback throws, and std::runtime_error without SHA-256. Errors of the body
/// are in the report.
/// Thread-safety: any thread; calls with different bodies together.
SlowReaderReport slow_read(Client& client, Body body, const SlowReaderOptions& options = {});

}  // namespace weir::harness
