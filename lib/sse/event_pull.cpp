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
  ended_ = false;
  cancelled_.store(false, std::memory_order_relaxed);
  thrown_ = nullptr;
}

void EventPull::on_comment(std::function<void(std::string)> listener) {
  on_comment_ = std::move(listener);
  parser_.report_comments();
}

void EventPull::cancel() noexcept {
  cancelled_.store(true, std::memory_order_relaxed);
  stream_->cancel();
}

/// Data: there is an event.
ReadStatus EventPull::advance(const flow::Wait& wait) {
  if (cancelled_.load(std::memory_order_relaxed)) {
    event_.reset();
    parser_.feed({});
  }
  if (event_) return ReadStatus::data;
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
  for (int chunks = 1; !parse(); ++chunks) {
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
  return ReadStatus::data;
}

/// False: more bytes are needed.
bool EventPull::parse() {
  while (true) {
    switch (parser_.next()) {
      case Parser::Item::more: return false;
      case Parser::Item::comment: on_comment_(parser_.take_comment()); break;
      case Parser::Item::event: event_ = parser_.take_event(); return true;
      case Parser::Item::too_large:
        stream_->cancel();
        throw Error(stream_->failure(errc::too_large, parser_.refusal()));
    }
  }
}

bool EventPull::ready() noexcept {
  try {
    if (advance(flow::Wait::never()) != ReadStatus::pending) return true;
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
