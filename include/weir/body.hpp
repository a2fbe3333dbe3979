#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weir/export.hpp"
#include "weir/reader.hpp"

namespace weir {

namespace detail {
struct BodyAccess;
}

/// The bytes of one message, in either direction; move-only, and used once.
///
/// A response's Body is fed from the network while it waits to be read: at most
/// `unread_high_water` (256 KiB) before its first read, `high_water` (4 MiB) afterwards, plus one
/// slab (64 KiB). Dropping it unread cancels its transfer.
/// Errors: `reader()` and `text()`, `bytes()` take the body; a second taker gets Error body_used,
/// and so does one that finds it moved away.
/// Thread-safety: as any value: one thread at a time. But `cancel()` and `stats()` may be called
/// from any thread, also while `text()` or `bytes()` runs, though not while the Body is moved,
/// destroyed or handed to a Reader, which has its own.
class WEIR_API Body {
 public:
  /// No body: not the same as an empty string, which is sent with Content-Length: 0.
  Body() noexcept;
  Body(std::string text);              // NOLINT: conversions are meant
  Body(const char* text);              // NOLINT
  Body(std::vector<std::byte> bytes);  // NOLINT
  explicit Body(std::unique_ptr<detail::Stream> stream) noexcept;
  Body(Body&&) noexcept;
  Body& operator=(Body&&) noexcept;
  ~Body();

  Reader reader();
  /// Reads the whole body as UTF-8: a byte order mark is removed, but nothing is checked. Throws
  /// what a read throws; and too_large before it reads if the length is known to be above `limit`
  /// bytes, else as soon as more than those arrived. Any throw cancels the transfer.
  /// The high water mark does not apply: all of it will be taken. Memory: up to `limit` bytes, as
  /// much again while it grows, and a queue of at most this body's share of `memory_budget`.
  std::string text(std::size_t limit = std::size_t{64} << 20);
  /// Reads the whole body; as `text()`.
  std::vector<std::byte> bytes(std::size_t limit = std::size_t{64} << 20);

  /// Ends the transfer; later reads throw aborted. See `Reader::cancel()`.
  void cancel() noexcept;
  /// True once the body was taken.
  bool used() const noexcept;
  /// Bytes, if known: the memory's size, or the response's Content-Length, unless the body is
  /// decoded as it is read.
  std::optional<std::uint64_t> length() const noexcept;
  BodyStats stats() const noexcept;

 private:
  friend struct detail::BodyAccess;
  detail::Stream& take();

  std::unique_ptr<detail::Stream> stream_;  // null: no body, or a Reader took it
  bool used_ = false;
};

}  // namespace weir
