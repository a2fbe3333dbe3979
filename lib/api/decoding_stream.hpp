#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "api/channel_stream.hpp"
#include "api/passed_waiter.hpp"
#include "api/stream.hpp"
#include "decode/decoder.hpp"
#include "decode/output.hpp"
#include "weir/chunk.hpp"

namespace weir::detail {

/// A body whose content codings are undone as it is read. What it takes from `wire` counts as
/// drained, so flow control stays in wire bytes; nothing is read ahead of what was asked for, but
/// for `ready()`, which must know whether what has arrived comes to any output.
///
/// Memory: one slab of the wire and one of output (64 KiB each), 88 KiB of free ones, and the
/// decoders' own bounds (decode/decoder.hpp), from the first byte to the end.
/// Thread-safety: as Stream.
class DecodingStream final : public Stream {
 public:
  /// `codings`: the value of Content-Encoding. What is wrong with it is a failure of the body.
  DecodingStream(std::unique_ptr<Stream> wire, std::string codings);

  ReadResult pull(std::size_t max, const flow::Wait& wait) override;
  bool ready() noexcept override;
  void enlist(flow::Waiter& waiter) noexcept override;
  bool withdraw(flow::Waiter& waiter) noexcept override;
  const std::shared_ptr<flow::Continuations>& continuations() const noexcept override {
    return wire_->continuations();
  }
  void cancel() noexcept override { wire_->cancel(); }
  bool discarded() const noexcept override { return wire_->discarded(); }
  BodyStats stats() const noexcept override;
  std::optional<std::uint64_t> length() const noexcept override { return std::nullopt; }
  void expect_whole() noexcept override { wire_->expect_whole(); }
  Headers trailers() const override { return wire_->trailers(); }
  Failure failure(errc code, std::string detail) const override {
    return wire_->failure(code, std::move(detail));
  }

 private:
  bool needs_input() const noexcept;
  ReadStatus look_ahead(const flow::Wait& wait);
  ReadStatus advance(const flow::Wait& wait);
  void decode();
  ReadStatus end();
  void stop_decoding() noexcept;
  [[noreturn]] void refuse(const std::string& problem) const;

  const std::unique_ptr<Stream> wire_;
  const std::string codings_;
  std::unique_ptr<decode::Decoder> decoder_;  // null: no byte has come, or it is over
  decode::Output output_;
  Chunk input_;  // taken from the wire, and not by the decoder
  Chunk ahead_;  // decoded, and not taken by the reader
  bool full_ = false;
  bool corrupt_ = false;  // after what is ahead
  bool ended_ = false;    // the same
  bool out_of_memory_ = false;
  std::optional<Error> failed_;
  PassedWaiter waiter_;
  std::atomic<std::uint64_t> decoded_{0};  // relaxed: a statistic
};

/// The body behind `stream`, whose head has come with these fields: decoded, if its request said so
/// and it may have bytes that are encoded.
std::unique_ptr<Stream> decoded(std::unique_ptr<ChannelStream> stream, const Headers& headers);

}  // namespace weir::detail
