#include "api/memory_stream.hpp"

#include <algorithm>
#include <string_view>

#include "weir/chunk.hpp"

namespace weir::detail {
namespace {

constexpr std::size_t kMostAtOnce = std::size_t{64} << 10;  // bytes, as from the network

}  // namespace

ReadResult MemoryStream::pull(std::size_t max, const flow::Wait&) {
  if (ended_) return {.status = ReadStatus::end};
  check_not_cancelled();
  const std::size_t position = position_.load(std::memory_order_relaxed);
  const std::size_t count = std::min({max, text_.size() - position, kMostAtOnce});
  if (count == 0) {
    ended_ = true;
    return {.status = ReadStatus::end};
  }
  Chunk chunk = Chunk::copy_of(std::string_view(text_).substr(position, count));
  position_.store(position + count, std::memory_order_relaxed);
  return {.status = ReadStatus::data, .chunk = std::move(chunk)};
}

BodyStats MemoryStream::stats() const noexcept {
  const std::size_t position = position_.load(std::memory_order_relaxed);
  return {.received = position, .drained = position, .decoded = position};
}

std::string MemoryStream::release() && {
  check_not_cancelled();
  return std::move(text_);
}

void MemoryStream::check_not_cancelled() const {
  if (cancelled_.load(std::memory_order_relaxed)) throw Error(failure(errc::aborted, "cancelled"));
}

}  // namespace weir::detail
