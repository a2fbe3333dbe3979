#include "sse/event_pull.hpp"

#include <limits>
#include <utility>

namespace weir::sse {
namespace {

constexpr std::size_t kAnySize = std::numeric_limits<std::size_t>::max();
/// So many Chunks without an event, and who shall not wait gets a chance to do something else.
constexpr int kChunksAtOnce = 16;

bool is_over(const flow::Wait& wait) { return !wait.block || wait.is_late(); }

}  // namespace

EventPull::EventPull(std::unique_ptr<detail::Stream> stream, const SseLimits& limits,
                     std::string last_event_id)
    : stream_(std::move(stream)), parser_(limits, std::move(last_event_id)) {}

EventResult EventPull::pull(const flow::Wait& wait) {
  const ReadStatus status = advance(wait);
  if (status != ReadStatus::data) return {.status = status, .event = {}};
  EventResult result{.status = status, .event = std::move(*event_)};
  event_.reset();
  return result;
}

void EventPull::reconnect(std::unique_ptr<detail::Stream> stream) {
  stream_ = std::move(stream);
  parser_.restart();
  chunk_ = {};
  comment_.reset();
  ended_ = false;
  cancelled_.store(false, std::memory_order_relaxed);
  thrown_ = nullptr;
}

std::string EventPull::take_comment() {
  std::string comment = std::move(*comment_);
  comment_.reset();
  return comment;
}

bool EventPull::at_hand() noexcept {
  if (cancelled_.load(std::memory_order_relaxed)) return false;
  if (event_) return true;
  if (comment_ || thrown_ || ended_) return false;
  try {
    return parse() == Parser::Item::event;
  } catch (...) {
    thrown_ = std::current_exception();  // it is thrown again by who pulls
    return false;
  }
}

void EventPull::cancel() noexcept {
  cancelled_.store(true, std::memory_order_relaxed);
  stream_->cancel();
}

/// Data: there is an event. Pending: there is neither that nor an end, or there is a comment.
ReadStatus EventPull::advance(const flow::Wait& wait) {
  if (cancelled_.load(std::memory_order_relaxed)) {
    event_.reset();
    comment_.reset();
    parser_.feed({});
  }
  if (event_) return ReadStatus::data;
  if (comment_) return ReadStatus::pending;
  if (thrown_) std::rethrow_exception(thrown_);
  if (ended_) return ReadStatus::end;
  try {
    return read_on(wait);
  } catch (...) {
    thrown_ = std::current_exception();
    throw;
  }
}

ReadStatus EventPull::read_on(const flow::Wait& wait) {
  for (int chunks = 1;; ++chunks) {
    const Parser::Item item = parse();
    if (item == Parser::Item::event) return ReadStatus::data;
    if (item == Parser::Item::comment) return ReadStatus::pending;
    chunk_ = {};  // while it waits it holds nothing
    if (chunks % kChunksAtOnce == 0 && is_over(wait)) return ReadStatus::pending;
    ReadResult result = stream_->pull(kAnySize, wait);
    if (!result) {
      ended_ = result.status == ReadStatus::end;
      return result.status;
    }
    chunk_ = std::move(result.chunk);
    parser_.feed(chunk_.text());
  }
}

Parser::Item EventPull::parse() {
  const Parser::Item item = parser_.next();
  switch (item) {
    case Parser::Item::more: break;
    case Parser::Item::comment: comment_ = parser_.take_comment(); break;
    case Parser::Item::event: event_ = parser_.take_event(); break;
    case Parser::Item::too_large:
      stream_->cancel();
      throw Error(stream_->failure(errc::too_large, parser_.refusal()));
  }
  return item;
}

bool EventPull::ready() noexcept {
  try {
    if (advance(flow::Wait::never()) != ReadStatus::pending || comment_) return true;
  } catch (...) {
    return true;  // it is thrown again by who pulls
  }
  if (!stream_->ready()) return false;
  return waiter_.look_later(*stream_);
}

void EventPull::enlist(flow::Waiter& waiter) noexcept { waiter_.enlist(*stream_, waiter); }

bool EventPull::withdraw(flow::Waiter& waiter) noexcept {
  return waiter_.withdraw(*stream_, waiter);
}

}  // namespace weir::sse
