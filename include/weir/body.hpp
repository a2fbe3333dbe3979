#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/chunk.hpp"
#include "weir/export.hpp"
#include "weir/generator.hpp"
#include "weir/reader.hpp"

namespace weir {

namespace detail {
struct BodyAccess;
}

/// How `Body::json<T>()` makes a T: specialise it with
/// `static T parse(std::string_view text)`, which may throw what it likes.
template <class T>
struct JsonTraits;

/// The bytes of one message, in either direction; move-only, and used once.
///
/// A response's Body is fed from the network while it waits to be read: at most
/// `unread_high_water` (256 KiB) before its first read, `high_water` (4 MiB) afterwards, plus one
/// slab (64 KiB). Dropping it unread cancels its transfer.
/// Errors: all that read it or make another of it take the body; a second taker gets Error
/// body_used, and so does one that finds it moved away.
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
  /// Reads the whole body as `text()` does, and makes a T of it by `JsonTraits<T>::parse()`, whose
  /// exceptions pass through. The text is gone when this returns: the T must not refer to it.
  template <class T>
  T json(std::size_t limit = std::size_t{64} << 20) {
    const std::string all = text(limit);
    return JsonTraits<T>::parse(std::string_view(all));
  }

  /// Takes the body and gives it to two, each of which reads all of it, without a copy. It comes at
  /// the pace of the slower: neither gets more than `lag` bytes, and a piece of 64 KiB, ahead of
  /// the other. Dropping or cancelling one frees the other; with both gone the transfer is
  /// cancelled.
  /// The end, a failure and trailers reach both, after all bytes before them. Two threads may read
  /// them, or one by turns, or coroutines; a coroutine whose branch is of bytes in memory goes on
  /// on a thread of the tee's.
  /// `stats()` of a branch are the body's own, but for `decoded`: the bytes this branch got.
  /// Memory: `lag` + 64 KiB beside the body's own, in the slabs they came in; small pieces packed.
  /// Errors: a blocking read without a deadline that must wait for the other branch, when no read
  /// of that waits and this same thread was the last to read it, or none was, throws would_deadlock
  /// after 10 s; its branch is then gone. That is one thread which reads the first branch to
  /// its end, of a body longer than `lag`. Two threads that read the two branches, the second of
  /// which begins within those 10 s, never see it.
  /// Throws body_used.
  std::pair<Body, Body> tee(std::size_t lag = std::size_t{256} << 10) &&;

  /// Takes the body and gives one whose bytes are what `transform` makes of them:
  ///
  ///     weir::Generator<weir::Chunk> upper(weir::Reader reader) {
  ///       for (const weir::Chunk& chunk : reader) co_yield upper_case(chunk);
  ///     }
  ///     weir::Body shouting = std::move(response.body).pipe_through(upper);
  ///
  /// Lazy: nothing of it runs before the first read, and each read runs it to its next Chunk and no
  /// further, so a reader that stands still stops the server as well. Empty Chunks are passed over.
  /// `read()` and what is built on it run it on the thread that reads. All that may not block there
  /// (`try_read()`, `read_until()`, `co_await`) have it run, one Chunk ahead, on a thread of its
  /// own, which is started when first wanted and ends with the body; `try_read()` is then pending
  /// until the Chunk is there. It never runs on two threads at once.
  /// What ends the body (its end, `cancel()`, dropping it) cancels what `transform` reads from, and
  /// destroys the Generator, each once; the closure of a lambda lives as long. Dropping the body
  /// waits for a step under way on the other thread, which its Reader, cancelled, throws out of.
  /// Errors: what `transform` throws comes after its Chunks as source_failed, with the exception
  /// nested; but a failure of the body that it reads, which it lets through, and std::bad_alloc
  /// come as they are. Throws body_used.
  /// `stats()` are those of the body that is read, but for `decoded`; `length()` is unknown.
  /// Memory: beside the body's own what `transform` holds, and one of its Chunks.
  Body pipe_through(std::function<Generator<Chunk>(Reader)> transform) &&;

  /// Takes the body, hands each Chunk to `sink` on this thread, and returns the number of bytes
  /// when the end has come. The sink's pace is the server's.
  /// Throws what a read throws, what `sink` throws, and aborted if `stop` was requested before the
  /// end; each cancels the body, once.
  std::uint64_t pipe_to(const std::function<void(const Chunk&)>& sink,
                        std::stop_token stop = {}) &&;
  /// The same to a stream, which is flushed at the end. Throws std::ios_base::failure if it fails.
  std::uint64_t pipe_to(std::ostream& out, std::stop_token stop = {}) &&;
  /// The same to a file, which is made, or emptied first. What was written stays when it fails.
  /// Throws std::system_error with the system's code.
  std::uint64_t pipe_to(const std::filesystem::path& file, std::stop_token stop = {}) &&;

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
