#include <utility>

#include "api/client_state.hpp"
#include "sse/source_machine.hpp"
#include "weir/sse.hpp"

namespace weir {

EventSource::EventSource(Client& client, std::string url, EventSourceOptions options)
    : machine_(sse::SourceMachine::make(detail::ClientAccess::state(client), std::move(url),
                                        std::move(options))) {}

EventSource::~EventSource() { machine_->abandon(); }

std::optional<Event> EventSource::next() {
  EventResult result = machine_->pull(flow::Wait::for_ever());
  if (!result) return std::nullopt;
  return std::move(result.event);
}

EventResult EventSource::next_until(Deadline deadline, std::stop_token stop) {
  return machine_->pull({.deadline = deadline, .stop = std::move(stop)});
}

EventResult EventSource::try_next() { return machine_->pull(flow::Wait::never()); }

AsyncNext EventSource::async_next(std::stop_token stop) {
  return AsyncNext(*machine_, std::move(stop));
}

AsyncNextUntil EventSource::async_next_until(Deadline deadline, std::stop_token stop) {
  return AsyncNextUntil(*machine_, deadline, std::move(stop));
}

void EventSource::close() noexcept { machine_->close(); }

EventSource::State EventSource::state() const noexcept { return machine_->state(); }

std::uint64_t EventSource::dropped() const noexcept { return machine_->dropped(); }

EventSourceStats EventSource::stats() const noexcept { return machine_->stats(); }

}  // namespace weir
