#include <algorithm>
#include <string>
#include <utility>

#include "net/curl_driver.hpp"
#include "net/curl_exchange.hpp"

namespace weir::net {

namespace {

using detail::TimePoint;

constexpr milliseconds kDiscardTime{200};

TimePoint after(TimePoint from, milliseconds timeout) noexcept {
  return timeout.count() == 0 ? TimePoint::max() : from + timeout;
}

std::string named(const char* option, milliseconds limit) {
  return std::string(option) + " (" + std::to_string(limit.count()) + " ms)";
}

}  // namespace

TimePoint CurlExchange::head_deadline() const noexcept {
  const Request& request = exchange_->request;
  const bool sent = phase_ == Phase::waiting && !request.body.empty();
  return std::min(after(journey_.started, request.total_timeout),
                  after(sent ? progressed_ : journey_.asked, request.headers_timeout));
}

TimePoint CurlExchange::connect_deadline() const noexcept {
  // No point in time is further away than that.
  constexpr milliseconds kLongest = std::chrono::hours(24 * 365 * 10);
  if (connected_ || connecting_ == TimePoint::max()) return TimePoint::max();
  return after(connecting_, std::min(driver_.options().connect_timeout, kLongest));
}

/// libcurl looks up the host, or has a socket: it is no longer kept waiting for a connection.
void CurlExchange::note_connecting() noexcept {
  if (connected_ || connecting_ != TimePoint::max()) return;
  connecting_ = driver_.now();
  if (!orphan_) rearm();
}

TimePoint CurlExchange::deadline() const noexcept {
  const Request& request = exchange_->request;
  const TimePoint total = after(journey_.started, request.total_timeout);
  switch (phase_) {
    case Phase::sending:
      if (connected_) return std::min(total, after(progressed_, request.idle_timeout));
      return std::min(head_deadline(), connect_deadline());
    case Phase::waiting: return std::min(head_deadline(), connect_deadline());
    case Phase::body:
      return std::min(total, after(progressed_, exchange_->paused() ? request.consumer_timeout
                                                                    : request.idle_timeout));
    case Phase::discarding: break;
  }
  const TimePoint patience = progressed_ + kDiscardTime;
  return hop_ ? std::min(patience, head_deadline()) : patience;
}

// Deadlines mostly move away, which is noticed when they come up; only a nearer one is set.
void CurlExchange::rearm() noexcept {
  const TimePoint next = deadline();
  if (next < due()) driver_.deadlines().set(*this, next);
}

// A paused body that is being read has not stalled, though it is still above low water.
void CurlExchange::notice_reading(TimePoint now) {
  if (phase_ != Phase::body || !exchange_->paused()) return;
  const std::uint64_t drained = exchange_->stats().drained;
  if (std::exchange(drained_, drained) != drained) progressed_ = now;
}

bool CurlExchange::expire(TimePoint now) noexcept {
  notice_reading(now);
  if (deadline() > now) {
    rearm();
    return false;
  }
  const bool failed = phase_ != Phase::discarding || (hop_ && head_deadline() <= now);
  if (failed) report(*exchange_, journey_.trace, [&] { fail(overdue()); });
  if (failed) hop_.reset();  // also without memory for words
  return true;
}

/// Of several that have passed, the first counts.
Failure CurlExchange::overdue() const {
  const TimePoint passed = phase_ == Phase::discarding ? head_deadline() : deadline();
  const Request& request = exchange_->request;
  Failure failure{.code = errc::timed_out};
  if (after(journey_.started, request.total_timeout) == passed) {
    failure.detail = named("total_timeout", request.total_timeout);
  } else if (phase_ == Phase::body && exchange_->paused()) {
    failure.code = errc::consumer_stalled;
    failure.detail = named("consumer_timeout", request.consumer_timeout);
  } else if (waits_) {
    failure.detail = named("headers_timeout", request.headers_timeout) + ": no connection was free";
  } else if (connect_deadline() == passed) {
    failure.detail = named("connect_timeout", driver_.options().connect_timeout);
  } else if (phase_ == Phase::waiting || hop_ || !connected_) {
    failure.detail = named("headers_timeout", request.headers_timeout);
  } else {
    failure.detail = named("idle_timeout", request.idle_timeout);
  }
  failure.retryable = !head_.started();
  return failure;
}

}  // namespace weir::net
