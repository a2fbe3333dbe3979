#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>

namespace weir::harness {

/// What an HTTP/2 connection has framed and the kernel has not taken, in order. Pattern bytes are
/// computed as they are written, however often it takes.
/// Memory: the frames that are not pattern, and 64 bytes for each one that is; its user stops
/// adding at about one write's worth.
/// Thread-safety: one thread.
class Http2Outbox {
 public:
  /// One frame, or a part of it, as it was taken.
  struct Taken {
    std::int32_t stream = 0;  // 0: of the connection
    std::uint64_t framing = 0;
    std::uint64_t body = 0;
    bool whole = false;  // nothing of this frame is left
    bool last = false;   // and it ended its stream
  };

  /// Frames that carry no body.
  void add(std::int32_t stream, std::span<const std::byte> bytes);
  /// A DATA frame with bytes of a pattern, or with those given.
  void add_pattern(std::int32_t stream, std::span<const std::byte> header, std::uint64_t seed,
                   std::uint64_t offset, std::size_t size, bool last);
  void add_data(std::int32_t stream, std::span<const std::byte> header,
                std::span<const std::byte> body, bool last);
  /// No bytes, but `last` when everything before it was taken.
  void add_end(std::int32_t stream);

  bool empty() const noexcept { return frames_.empty(); }
  std::size_t size() const noexcept { return size_; }  // bytes
  std::size_t frames() const noexcept { return frames_.size(); }
  /// The first bytes, as many as `room` takes: the same ones until `take`.
  std::span<const std::byte> render(std::span<std::byte> room) const;
  /// Removes the first `bytes` and tells `each` of every frame that they belong to.
  template <class Each>
  void take(std::size_t bytes, Each&& each) {
    while (!frames_.empty() && (bytes > 0 || left_of(frames_.front()) == 0)) {
      const Taken taken = take_front(bytes);
      bytes -= static_cast<std::size_t>(taken.framing + taken.body);
      each(taken);
    }
  }

 private:
  struct Frame {
    std::int32_t stream = 0;
    bool last = false;
    bool computed = false;    // the body is pattern, not in bytes_
    std::size_t framing = 0;  // bytes before the body, all in bytes_
    std::size_t body = 0;
    std::uint64_t seed = 0;
    std::uint64_t offset = 0;  // in the pattern
  };
  static std::size_t left_of(const Frame& frame) noexcept { return frame.framing + frame.body; }
  void push(const Frame& frame, std::span<const std::byte> stored, std::span<const std::byte> more);
  Taken take_front(std::size_t most);

  std::deque<Frame> frames_;  // the first one less what was taken of it
  std::string bytes_;
  std::size_t begin_ = 0;  // of bytes_
  std::size_t size_ = 0;
};

}  // namespace weir::harness
