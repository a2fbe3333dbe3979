#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "api/passed_waiter.hpp"
#include "api/stream.hpp"
#include "sse/event_supply.hpp"
#include "sse/parser.hpp"
#include "weir/chunk.hpp"
#include "weir/sse.hpp"

namespace weir::sse {

/// A Stream read event by event. Everything that has events to offer is built on it: it can be
/// waited for, and goes on with the Stream of another connection.
///
/// Whoever waits parses: the thread that pulls, or while a coroutine is suspended the continuation
/// thread, which by `ready()` reads up to the next event and keeps that. A wait that is dropped
/// therefore loses nothing.
/// Memory, errors: as EventStream.
/// Thread-safety: one thread at a time; `cancel()` and `stats()` from any.
class EventPull final : public EventSupply {
 public:
  EventPull(std::unique_ptr<detail::Stream> stream, const SseLimits& limits,
            std::string last_event_id = {});

  EventResult pull(const flow::Wait& wait) override;
  /// Goes on with another connection, where the last one ended or failed. The last id and the time
  /// to wait stay.
  void reconnect(std::unique_ptr<detail::Stream> stream);
  /// From now on it stops at each comment: there is nothing more until that was taken.
  void report_comments() noexcept { parser_.report_comments(); }
  bool has_comment() const noexcept { return comment_.has_value(); }
  std::string take_comment();
  /// There is an event in what was read already.
  bool at_hand() noexcept;

  bool ready() noexcept override;
  void enlist(flow::Waiter& waiter) noexcept override;
  bool withdraw(flow::Waiter& waiter) noexcept override;
  const std::shared_ptr<flow::Continuations>& continuations() const noexcept override {
    return stream_->continuations();
  }

  const std::string& last_event_id() const noexcept { return parser_.last_event_id(); }
  std::optional<std::chrono::milliseconds> retry() const noexcept { return parser_.retry(); }
  BodyStats stats() const noexcept { return stream_->stats(); }
  Failure failure(errc code, std::string detail) const override {
    return stream_->failure(code, std::move(detail));
  }
  /// What was read but not delivered is discarded too.
  void cancel() noexcept;

 private:
  ReadStatus advance(const flow::Wait& wait);
  ReadStatus read_on(const flow::Wait& wait);
  Parser::Item parse();

  std::unique_ptr<detail::Stream> stream_;
  Parser parser_;
  Chunk chunk_;  // what the parser has of it
  std::optional<Event> event_;
  std::optional<std::string> comment_;
  bool ended_ = false;
  std::atomic<bool> cancelled_{false};  // relaxed: publishes nothing
  std::exception_ptr thrown_;           // for ever
  detail::PassedWaiter waiter_;
};

}  // namespace weir::sse
