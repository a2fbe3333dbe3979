#include <utility>

#include "sse/event_pull.hpp"
#include "sse/event_supply.hpp"
#include "weir/error.hpp"
#include "weir/sse.hpp"

namespace weir {
namespace {

std::optional<Event> event_of(EventResult result) {
  if (!result) return std::nullopt;
  return std::move(result.event);
}

}  // namespace

EventStream::EventStream(Body body, const SseLimits& limits)
    : pull_(
          std::make_unique<sse::EventPull>(detail::ReaderAccess::release(body.reader()), limits)) {}
EventStream::EventStream(EventStream&&) noexcept = default;
EventStream& EventStream::operator=(EventStream&&) noexcept = default;
EventStream::~EventStream() = default;

sse::EventPull& EventStream::checked() const {
  if (!pull_) throw Error({.code = errc::body_used, .detail = "this EventStream was moved from"});
  return *pull_;
}

std::optional<Event> EventStream::next() {
  return event_of(checked().pull(flow::Wait::for_ever()));
}

EventResult EventStream::next_until(Deadline deadline, std::stop_token stop) {
  return checked().pull({.deadline = deadline, .stop = std::move(stop)});
}

EventResult EventStream::try_next() { return checked().pull(flow::Wait::never()); }

AsyncNext EventStream::async_next(std::stop_token stop) {
  return AsyncNext(checked(), std::move(stop));
}

AsyncNextUntil EventStream::async_next_until(Deadline deadline, std::stop_token stop) {
  return AsyncNextUntil(checked(), deadline, std::move(stop));
}

AsyncNext::AsyncNext(sse::EventSupply& events, std::stop_token stop) noexcept
    : Awaiter(events, Deadline::max(), std::move(stop)), events_(events) {}

std::optional<Event> AsyncNext::await_resume() {
  if (outcome() == Outcome::stopped) {
    throw Error(events_.failure(errc::aborted, "this read was stopped"));
  }
  return event_of(events_.pull(flow::Wait::for_ever()));  // ready, so it does not wait
}

AsyncNextUntil::AsyncNextUntil(sse::EventSupply& events, Deadline deadline,
                               std::stop_token stop) noexcept
    : Awaiter(events, deadline, std::move(stop)), events_(events), deadline_(deadline) {}

EventResult AsyncNextUntil::await_resume() {
  if (outcome() == Outcome::stopped) return {.status = ReadStatus::stopped, .event = {}};
  return events_.pull({.deadline = deadline_});  // ready or late, so it does not wait
}

const std::string& EventStream::last_event_id() const noexcept {
  static const std::string none;
  return pull_ ? pull_->last_event_id() : none;
}

std::optional<std::chrono::milliseconds> EventStream::retry() const noexcept {
  return pull_ ? pull_->retry() : std::nullopt;
}

BodyStats EventStream::stats() const noexcept { return pull_ ? pull_->stats() : BodyStats(); }

void EventStream::cancel() noexcept {
  if (pull_) pull_->cancel();
}

}  // namespace weir
