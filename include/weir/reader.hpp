#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>

#include "weir/awaiter.hpp"
#include "weir/chunk.hpp"
#include "weir/export.hpp"
#include "weir/headers.hpp"

namespace weir {

namespace detail {
class Stream;
struct ReaderAccess;
}  // namespace detail

/// What a read brought that does not have to bring bytes.
enum class ReadStatus {
  data,     ///< `chunk` holds at least one byte.
  end,      ///< The body is complete.
  pending,  ///< Nothing has arrived yet; the body is unharmed.
  stopped,  ///< The stop token of this read was triggered; the body is unharmed.
};

struct ReadResult {
  ReadStatus status{};
  Chunk chunk{};
  /// True if there is data.
  explicit operator bool() const noexcept { return status == ReadStatus::data; }
};

/// A moment's view of one body. All in wire bytes (after transfer decoding, before
/// content decoding) except `decoded`.
struct BodyStats {
  std::uint64_t received = 0;  ///< Accepted from the transport.
  std::uint64_t drained = 0;   ///< Handed to the reader.
  std::uint64_t decoded = 0;   ///< Bytes the reader got, after content decoding.
  /// received - drained: at most `high_water` + 16 KiB; + 32 KiB where the last write of a known
  /// length, which is never refused, comes on top.
  std::size_t queued = 0;
  std::size_t peak_queued = 0;
  std::uint64_t pauses = 0;
  std::uint64_t resumes = 0;
  std::chrono::nanoseconds paused_for{0};  ///< Including the pause under way.
  bool paused = false;
};

/// What `co_await reader.async_read()` waits with; `Reader` describes it.
class [[nodiscard]] WEIR_API AsyncRead : public detail::Awaiter {
 public:
  std::optional<Chunk> await_resume();

 private:
  friend class Reader;
  AsyncRead(detail::Stream& stream, std::stop_token stop) noexcept;

  detail::Stream& stream_;
};

/// What `co_await reader.async_read_until(...)` waits with; `Reader` describes it.
class [[nodiscard]] WEIR_API AsyncReadUntil : public detail::Awaiter {
 public:
  ReadResult await_resume();

 private:
  friend class Reader;
  AsyncReadUntil(detail::Stream& stream, Deadline deadline, std::stop_token stop) noexcept;

  detail::Stream& stream_;
};

/// Exclusive, ordered access to the bytes of one body.
///
/// Reading is what grants flow: taking bytes makes room in the queue, and at `low_water`
/// the transfer goes on. A read never waits to fill a buffer: what has arrived is delivered at
/// once, at most one slab (64 KiB) per Chunk, without a copy.
///
/// Errors: bytes that arrived before a failure are delivered first; then every read throws the
/// same Error: timed_out, consumer_stalled, truncated, protocol_error, or aborted after a stop
/// request, `cancel()` or the end of the Client (those discard what is queued). After the end was
/// read nothing changes any more. A Reader that was moved from throws body_used.
/// Thread-safety: one thread at a time reads; `cancel()` and `stats()` may be called from any
/// thread while another reads, but not while the Reader is moved or destroyed.
/// Lifetime: dropping a Reader before the end cancels the transfer. That costs the connection,
/// unless at most 64 KiB of a known length remain. A Reader may outlive its Client; it then reads
/// as aborted.
class [[nodiscard]] WEIR_API Reader {
 public:
  explicit Reader(std::unique_ptr<detail::Stream> stream) noexcept;
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  /// Waits for bytes; nullopt at the end of the body.
  std::optional<Chunk> read();
  /// Waits until `deadline` at most, or until `stop` is requested: data, end, pending or stopped.
  /// The last two leave the body unharmed. A deadline that has passed gives what is there.
  ReadResult read_until(Deadline deadline, std::stop_token stop = {});
  /// Never waits: data, end or pending.
  ReadResult try_read();
  /// Waits for at least one byte and copies what is there into `out`; the count, 0 only at the
  /// end (or if `out` is empty).
  std::size_t read_some(std::span<std::byte> out);
  /// Waits until `out` is full; a smaller count only at the end. If the body fails on the
  /// way, the bytes before are in `out` but not counted: use `read_some` to keep them.
  std::size_t read_exactly(std::span<std::byte> out);

  /// `co_await reader.async_read()`: as `read()`, but suspends the coroutine in place of blocking
  /// the thread. It goes on as `ClientOptions::resume_on` says; without a suspension if there is
  /// something to read. A stop request makes this read throw aborted and leaves the body
  /// unharmed. Destroying the suspended coroutine withdraws the read and loses no byte.
  /// Lifetime: until it is done the Reader must live, and must not be read otherwise: of two reads
  /// that wait, one would never be woken.
  AsyncRead async_read(std::stop_token stop = {});
  /// `co_await reader.async_read_until(deadline, stop)`: as `read_until()`.
  AsyncReadUntil async_read_until(Deadline deadline, std::stop_token stop = {});

  /// Trailer fields (RFC 9110 section 6.5): empty before the end of the body. Never mixed into
  /// Response::headers.
  Headers trailers() const;
  BodyStats stats() const noexcept;
  /// Ends the transfer and discards what is queued. A read that waits returns promptly; it and
  /// later ones throw aborted. Never waits; calling it again, or after the end, does nothing.
  void cancel() noexcept;

  /// `for (const Chunk& chunk : reader)`: reads on until the end, throws as `read()` does. Each
  /// step lets go of the Chunk before.
  class Iterator;
  Iterator begin();
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend struct detail::ReaderAccess;
  std::unique_ptr<detail::Stream> stream_;
};

class Reader::Iterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using value_type = Chunk;
  using difference_type = std::ptrdiff_t;

  explicit Iterator(Reader& reader) : reader_(&reader), chunk_(reader.read()) {}
  const Chunk& operator*() const noexcept { return *chunk_; }
  const Chunk* operator->() const noexcept { return &*chunk_; }
  Iterator& operator++() {
    chunk_.reset();
    chunk_ = reader_->read();
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const Iterator& it, std::default_sentinel_t) noexcept {
    return !it.chunk_;
  }

 private:
  Reader* reader_;
  std::optional<Chunk> chunk_;
};

inline Reader::Iterator Reader::begin() { return Iterator(*this); }

}  // namespace weir
