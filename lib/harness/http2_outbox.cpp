#include "harness/http2_outbox.hpp"

#include <algorithm>
#include <cstring>

#include "harness/pattern.hpp"

namespace weir::harness {
namespace {

constexpr std::size_t kCompact = 16 * 1024;  // bytes at the front of bytes_ that may be dead

}  // namespace

void Http2Outbox::add(std::int32_t stream, std::span<const std::byte> bytes) {
  Frame frame;
  frame.stream = stream;
  frame.framing = bytes.size();
  push(frame, bytes, {});
}

void Http2Outbox::add_pattern(std::int32_t stream, std::span<const std::byte> header,
                              std::uint64_t seed, std::uint64_t offset, std::size_t size,
                              bool last) {
  push({stream, last, true, header.size(), size, seed, offset}, header, {});
}

void Http2Outbox::add_data(std::int32_t stream, std::span<const std::byte> header,
                           std::span<const std::byte> body, bool last) {
  push({stream, last, false, header.size(), body.size(), 0, 0}, header, body);
}

void Http2Outbox::add_end(std::int32_t stream) {
  Frame frame;
  frame.stream = stream;
  frame.last = true;
  push(frame, {}, {});
}

void Http2Outbox::push(const Frame& frame, std::span<const std::byte> stored,
                       std::span<const std::byte> more) {
  if (begin_ == bytes_.size() || begin_ > kCompact) {
    bytes_.erase(0, begin_);
    begin_ = 0;
  }
  bytes_.append(reinterpret_cast<const char*>(stored.data()), stored.size());
  bytes_.append(reinterpret_cast<const char*>(more.data()), more.size());
  frames_.push_back(frame);
  size_ += left_of(frame);
}

std::span<const std::byte> Http2Outbox::render(std::span<std::byte> room) const {
  std::byte* to = room.data();
  std::size_t space = room.size();
  std::size_t from = begin_;
  for (const Frame& frame : frames_) {
    if (space == 0) break;
    const std::size_t copied = std::min(space, frame.framing + (frame.computed ? 0 : frame.body));
    if (copied > 0) std::memcpy(to, bytes_.data() + from, copied);
    from += copied;
    to += copied;
    space -= copied;
    if (!frame.computed) continue;
    const std::size_t filled = std::min(space, frame.body);
    pattern::fill(frame.seed, frame.offset, {to, filled});
    to += filled;
    space -= filled;
  }
  return room.first(room.size() - space);
}

Http2Outbox::Taken Http2Outbox::take_front(std::size_t most) {
  Frame& frame = frames_.front();
  Taken taken;
  taken.stream = frame.stream;
  const std::size_t framing = std::min(most, frame.framing);
  const std::size_t body = std::min(most - framing, frame.body);
  frame.framing -= framing;
  frame.body -= body;
  frame.offset += body;
  begin_ += framing + (frame.computed ? 0 : body);
  size_ -= framing + body;
  taken.framing = framing;
  taken.body = body;
  taken.whole = left_of(frame) == 0;
  taken.last = taken.whole && frame.last;
  if (taken.whole) frames_.pop_front();
  return taken;
}

}  // namespace weir::harness
