#include "api/decoding_stream.hpp"

#include <limits>
#include <new>
#include <utility>

#include "decode/codings.hpp"
#include "weir/error.hpp"

namespace weir::detail {
namespace {

constexpr std::size_t kAnySize = std::numeric_limits<std::size_t>::max();
// Bytes that a read which may not wait takes though nothing comes of them: a body may hold any
// number of empty blocks.
constexpr std::size_t kMostInVain = std::size_t{4} << 20;
constexpr std::size_t kOneStep = std::size_t{256} << 10;  // so many, if it gave up by itself

bool is_late(const flow::Wait& wait, std::size_t in_vain) {
  if (!wait.block) return in_vain >= kMostInVain;
  return in_vain > 0 && wait.is_late();
}

}  // namespace

DecodingStream::DecodingStream(std::unique_ptr<Stream> wire, std::string codings)
    : wire_(std::move(wire)), codings_(std::move(codings)) {}

ReadResult DecodingStream::pull(std::size_t max, const flow::Wait& wait) {
  if (discarded()) ahead_ = {};
  if (!ended_ && wait.stop.stop_requested()) return {.status = ReadStatus::stopped};
  const ReadStatus status = look_ahead(wait);
  if (status != ReadStatus::data) return {.status = status};
  Chunk rest = ahead_.size() > max ? ahead_.slice(max) : Chunk();
  ReadResult result{status, ahead_.slice(0, max)};
  ahead_ = std::move(rest);
  decoded_.fetch_add(result.chunk.size(), std::memory_order_relaxed);
  return result;
}

bool DecodingStream::ready() noexcept {
  if (!ahead_.empty() || failed_ || out_of_memory_ || ended_) return true;
  try {
    if (look_ahead(flow::Wait::never()) != ReadStatus::pending) return true;
  } catch (...) {
    return true;  // thrown again by pull()
  }
  if (needs_input() && !wire_->ready()) return false;
  return waiter_.look_later(*wire_);
}

void DecodingStream::enlist(flow::Waiter& waiter) noexcept { waiter_.enlist(*wire_, waiter); }

bool DecodingStream::withdraw(flow::Waiter& waiter) noexcept {
  return waiter_.withdraw(*wire_, waiter);
}

bool DecodingStream::needs_input() const noexcept {
  return discarded() || (!full_ && !corrupt_ && input_.empty());
}

ReadStatus DecodingStream::look_ahead(const flow::Wait& wait) {
  if (!ahead_.empty()) return ReadStatus::data;
  if (failed_) throw Error(*failed_);
  if (out_of_memory_) throw std::bad_alloc();
  try {
    return advance(wait);
  } catch (const Error& error) {
    failed_ = error;
    stop_decoding();
    throw;
  } catch (const std::bad_alloc&) {
    out_of_memory_ = true;
    stop_decoding();
    throw;
  }
}

ReadStatus DecodingStream::advance(const flow::Wait& wait) {
  std::size_t in_vain = 0;
  while (ahead_.empty()) {
    const bool more_wanted = needs_input();
    if (more_wanted && ended_) return ReadStatus::end;
    if (is_late(wait, in_vain)) return ReadStatus::pending;
    if (more_wanted) {
      ReadResult more = wire_->pull(kAnySize, wait);
      if (more.status == ReadStatus::end) return end();
      if (!more) return more.status;
      in_vain += more.chunk.size();
      input_ = std::move(more.chunk);
    } else if (wait.stop.stop_requested()) {
      return ReadStatus::stopped;
    }
    decode();
    if (full_) in_vain += kOneStep;
  }
  return ReadStatus::data;
}

void DecodingStream::decode() {
  if (corrupt_) refuse(codings_ + ": " + decoder_->problem());
  if (!decoder_) {
    std::string problem;
    decoder_ = decode::make_decoder(codings_, problem);
    if (!decoder_) refuse("Content-Encoding: " + problem);
  }
  const auto step = decoder_->step(input_.bytes(), output_.room());
  input_ = input_.slice(step.consumed);
  full_ = step.status == decode::Decoder::Status::output;
  corrupt_ = step.status == decode::Decoder::Status::corrupt;
  if (step.produced > 0) ahead_ = output_.commit(step.produced);
}

ReadStatus DecodingStream::end() {
  if (decoder_ && !decoder_->whole()) refuse(codings_ + ": " + decoder_->problem());
  ended_ = true;
  decoder_.reset();
  output_.release();
  return ReadStatus::end;
}

void DecodingStream::stop_decoding() noexcept {
  wire_->cancel();
  decoder_.reset();
  output_.release();
  input_ = {};
}

void DecodingStream::refuse(const std::string& problem) const {
  throw Error(wire_->failure(errc::decode_failed, problem));
}

BodyStats DecodingStream::stats() const noexcept {
  BodyStats stats = wire_->stats();
  stats.decoded = decoded_.load(std::memory_order_relaxed);
  return stats;
}

std::unique_ptr<Stream> decoded(std::unique_ptr<ChannelStream> stream, const Headers& headers) {
  if (!stream->request().decode || stream->length() == 0) return stream;
  const auto codings = headers.get("Content-Encoding");
  if (!codings || !decode::is_encoded(*codings)) return stream;
  return std::make_unique<DecodingStream>(std::move(stream), *codings);
}

}  // namespace weir::detail
