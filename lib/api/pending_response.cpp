#include <utility>

#include "api/client_state.hpp"
#include "api/pending.hpp"
#include "weir/error.hpp"
#include "weir/fetch.hpp"

namespace weir {

Response detail::Pending::take() {
  if (failed_) std::rethrow_exception(std::exchange(failed_, nullptr));
  if (!stream_) throw Error({.code = errc::body_used, .detail = "the response was taken"});
  return receive(std::move(stream_));
}

PendingResponse::PendingResponse(std::unique_ptr<detail::Pending> pending) noexcept
    : pending_(std::move(pending)) {}
PendingResponse::PendingResponse(PendingResponse&&) noexcept = default;
PendingResponse& PendingResponse::operator=(PendingResponse&&) noexcept = default;
PendingResponse::~PendingResponse() = default;

detail::Pending& PendingResponse::checked() {
  if (!pending_) throw Error({.code = errc::body_used, .detail = "it was moved from"});
  return *pending_;
}

Response PendingResponse::get() { return checked().take(); }

AsyncResponse PendingResponse::operator co_await() & { return AsyncResponse(checked()); }

AsyncResponse::AsyncResponse(detail::Pending& pending) noexcept
    : Awaiter(pending, Deadline::max(), {}), pending_(pending) {}

Response AsyncResponse::await_resume() {
  outcome();
  return pending_.take();
}

PendingResponse Client::async_fetch(std::string_view url, RequestInit init) {
  return PendingResponse(state_->begin(url, std::move(init)));
}

PendingGet Client::async_fetch(std::string_view url) { return PendingGet(state_->begin(url, {})); }

}  // namespace weir
