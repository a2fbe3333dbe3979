#include "weir/reader.hpp"

#include <cstring>
#include <limits>
#include <utility>

#include "api/stream.hpp"

namespace weir {
namespace {

constexpr std::size_t kAnySize = std::numeric_limits<std::size_t>::max();

detail::Stream& checked(const std::unique_ptr<detail::Stream>& stream) {
  if (!stream) throw Error({.code = errc::body_used, .detail = "this Reader was moved from"});
  return *stream;
}

}  // namespace

Reader::Reader(std::unique_ptr<detail::Stream> stream) noexcept : stream_(std::move(stream)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

std::optional<Chunk> Reader::read() {
  ReadResult result = checked(stream_).pull(kAnySize, flow::Wait::for_ever());
  if (!result) return std::nullopt;
  return std::move(result.chunk);
}

ReadResult Reader::read_until(Deadline deadline, std::stop_token stop) {
  return checked(stream_).pull(kAnySize, {.deadline = deadline, .stop = std::move(stop)});
}

ReadResult Reader::try_read() { return checked(stream_).pull(kAnySize, flow::Wait::never()); }

std::size_t Reader::read_some(std::span<std::byte> out) {
  detail::Stream& stream = checked(stream_);
  if (out.empty()) return 0;
  const ReadResult result = stream.pull(out.size(), flow::Wait::for_ever());
  if (!result) return 0;
  const Bytes bytes = result.chunk.bytes();
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return bytes.size();
}

std::size_t Reader::read_exactly(std::span<std::byte> out) {
  std::size_t count = 0;
  while (count < out.size()) {
    const std::size_t more = read_some(out.subspan(count));
    if (more == 0) break;
    count += more;
  }
  return count;
}

AsyncRead Reader::async_read(std::stop_token stop) {
  return AsyncRead(checked(stream_), std::move(stop));
}

AsyncReadUntil Reader::async_read_until(Deadline deadline, std::stop_token stop) {
  return AsyncReadUntil(checked(stream_), deadline, std::move(stop));
}

AsyncRead::AsyncRead(detail::Stream& stream, std::stop_token stop) noexcept
    : Awaiter(stream, Deadline::max(), std::move(stop)), stream_(stream) {}

std::optional<Chunk> AsyncRead::await_resume() {
  if (outcome() == Outcome::stopped) {
    throw Error(stream_.failure(errc::aborted, "this read was stopped"));
  }
  // Ready, so it does not wait, unless another reader took what was there.
  ReadResult result = stream_.pull(kAnySize, flow::Wait::for_ever());
  if (!result) return std::nullopt;
  return std::move(result.chunk);
}

AsyncReadUntil::AsyncReadUntil(detail::Stream& stream, Deadline deadline,
                               std::stop_token stop) noexcept
    : Awaiter(stream, deadline, std::move(stop)), stream_(stream) {}

ReadResult AsyncReadUntil::await_resume() {
  if (outcome() == Outcome::stopped) return {.status = ReadStatus::stopped};
  return stream_.pull(kAnySize, flow::Wait::never());
}

Headers Reader::trailers() const { return stream_ ? stream_->trailers() : Headers(); }

BodyStats Reader::stats() const noexcept { return stream_ ? stream_->stats() : BodyStats(); }

void Reader::cancel() noexcept {
  if (stream_) stream_->cancel();
}

}  // namespace weir
