#include "net/request_trace.hpp"

#include <new>
#include <utility>

#include "base/url_text.hpp"

namespace weir::net {

void RequestTrace::emit(TraceKind kind, int status, std::error_code error) noexcept {
  const BodyStats body = exchange_->stats();
  TraceEvent event;
  event.kind = kind;
  event.request = request_;
  event.at = clock_->now();
  event.status = status;
  event.received = body.received;
  event.queued = body.queued;
  event.error = error;
  try {
    event.url = detail::without_credentials(exchange_->request.url);
  } catch (const std::bad_alloc&) {
    event.url.clear();  // an event without its URL is better than none
  }
  sink_->emit(std::move(event));
}

}  // namespace weir::net
