#pragma once

#include <exception>
#include <memory>

#include "api/awaited.hpp"
#include "api/channel_stream.hpp"
#include "weir/fetch.hpp"

namespace weir::detail {

/// What is behind a PendingResponse: the exchange, or why there is none.
/// Thread-safety: one thread at a time.
class Pending final : public Awaited {
 public:
  explicit Pending(std::unique_ptr<ChannelStream> stream) noexcept : stream_(std::move(stream)) {}
  // NOLINTNEXTLINE(bugprone-throw-keyword-missing): a member, not an exception that is thrown
  explicit Pending(std::exception_ptr failed) noexcept : failed_(std::move(failed)) {}

  /// Waits for the response; once.
  Response take();

  bool ready() noexcept override { return !stream_ || stream_->head_ready(); }
  void enlist(flow::Waiter& waiter) noexcept override { stream_->enlist_for_head(waiter); }
  bool withdraw(flow::Waiter& waiter) noexcept override {
    return !stream_ || stream_->withdraw(waiter);
  }
  const std::shared_ptr<flow::Continuations>& continuations() const noexcept override {
    return stream_->continuations();
  }

 private:
  std::unique_ptr<ChannelStream> stream_;  // null: it failed, or was taken
  std::exception_ptr failed_;
};

}  // namespace weir::detail
