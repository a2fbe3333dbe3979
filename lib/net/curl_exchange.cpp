#include "net/curl_exchange.hpp"

#include <algorithm>
#include <cassert>
#include <new>
#include <string>
#include <utility>

#include "base/url_text.hpp"
#include "net/curl_driver.hpp"
#include "net/curl_setup.hpp"

namespace weir::net {

namespace {

using namespace std::chrono_literals;
using detail::TimePoint;

constexpr std::uint64_t kDiscardBytes = std::uint64_t{64} << 10;
constexpr milliseconds kDiscardTime{200};

TimePoint after(TimePoint from, milliseconds timeout) noexcept {
  return timeout.count() == 0 ? TimePoint::max() : from + timeout;
}

std::string named(const char* option, milliseconds limit) {
  return std::string(option) + " (" + std::to_string(limit.count()) + " ms)";
}

}  // namespace

// What libcurl calls: `self` is the CurlExchange. Nothing may be thrown through libcurl's frames.
struct CurlCallbacks {
  template <class Call>
  static auto guarded(CurlExchange& self, decltype(std::declval<Call>()()) stop, Call call) noexcept
      -> decltype(stop) {
    try {
      try {
        return call();
      } catch (const Error& error) {
        self.refused_ = error.failure();
      }
    } catch (const std::bad_alloc&) {
      self.out_of_memory_ = true;
    }
    return stop;
  }

  static std::size_t header(char* data, std::size_t, std::size_t size, void* self) noexcept {
    auto& exchange = *static_cast<CurlExchange*>(self);
    return guarded(exchange, std::size_t{0}, [&] { return exchange.on_header({data, size}); });
  }
  static std::size_t body(char* data, std::size_t, std::size_t size, void* self) noexcept {
    auto& exchange = *static_cast<CurlExchange*>(self);
    const Bytes bytes{reinterpret_cast<const std::byte*>(data), size};
    return guarded(exchange, std::size_t{CURL_WRITEFUNC_ERROR},
                   [&] { return exchange.on_body(bytes); });
  }
  static int request(void* self, char*, char*, int, int local_port) noexcept {
    auto& exchange = *static_cast<CurlExchange*>(self);
    return guarded(exchange, CURL_PREREQFUNC_ABORT,
                   [&] { return exchange.on_request(local_port); });
  }
  static int progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent) noexcept {
    auto& exchange = *static_cast<CurlExchange*>(self);
    return guarded(exchange, 1, [&] {
      exchange.on_progress(sent);
      return 0;
    });
  }
};

CurlExchange::CurlExchange(CurlDriver& driver, std::shared_ptr<Exchange> exchange)
    : driver_(driver),
      exchange_(std::move(exchange)),
      easy_(made<EasyHandle>(curl_easy_init())),
      head_(driver.options().max_header_bytes, driver.options().max_header_fields),
      phase_(exchange_->request.body.empty() ? Phase::waiting : Phase::sending),
      started_(driver.now()),
      progressed_(started_) {
  CURL* easy = easy_.get();
  apply_common_options(easy, driver);
  set_option(easy, CURLOPT_ERRORBUFFER, words_.data());
  set_option(easy, CURLOPT_PRIVATE, this);
  set_option(easy, CURLOPT_HEADERFUNCTION, &CurlCallbacks::header);
  set_option(easy, CURLOPT_HEADERDATA, this);
  set_option(easy, CURLOPT_WRITEFUNCTION, &CurlCallbacks::body);
  set_option(easy, CURLOPT_WRITEDATA, this);
  set_option(easy, CURLOPT_PREREQFUNCTION, &CurlCallbacks::request);
  set_option(easy, CURLOPT_PREREQDATA, this);
  if (phase_ == Phase::sending) {
    set_option(easy, CURLOPT_NOPROGRESS, 0L);
    set_option(easy, CURLOPT_XFERINFOFUNCTION, &CurlCallbacks::progress);
    set_option(easy, CURLOPT_XFERINFODATA, this);
  }
  fields_ = apply_request(easy, exchange_->request);
  rearm();
  exchange_->attach(this);
}

CurlExchange::~CurlExchange() {
  driver_.deadlines().remove(*this);
  exchange_->attach(nullptr);
}

// -- Callbacks.

std::size_t CurlExchange::on_header(std::string_view line) {
  driver_.spin_guard().progress();
  switch (head_.line(line)) {
    case ResponseHead::Step::failed: refused_ = head_.failure(); return 0;
    case ResponseHead::Step::complete: open(); return finishes_early() ? 0 : line.size();
    case ResponseHead::Step::more: break;
  }
  return line.size();
}

void CurlExchange::open() {
  assert(phase_ == Phase::sending || phase_ == Phase::waiting);
  const Request& request = exchange_->request;
  Head& head = exchange_->head;
  head.status = head_.status();
  head.headers = std::move(head_.fields());
  head.url = detail::without_credentials(request.url);
  head.version = HttpVersion::http1;
  head.timings = timings();
  const bool bodiless = request.method == "HEAD" || head.status == 204 || head.status == 304;
  head.length = bodiless ? std::optional<std::uint64_t>{0} : head_.length();
  phase_ = Phase::body;
  progressed_ = driver_.now();
  rearm();
  exchange_->open();
}

std::size_t CurlExchange::on_body(Bytes data) {
  driver_.spin_guard().progress();
  if (phase_ == Phase::discarding) return data.size();
  const auto& length = exchange_->head.length;
  const bool completes = length && received_ < *length && received_ + data.size() >= *length;
  progressed_ = driver_.now();
  if (exchange_->offer(data, completes) == flow::Channel::Offer::paused) {
    drained_ = exchange_->stats().drained;
    rearm();
    return CURL_WRITEFUNC_PAUSE;
  }
  received_ += data.size();
  return finishes_early() ? CURL_WRITEFUNC_ERROR : data.size();
}

/// The response is complete and the request is not: libcurl would send on, if need be for ever.
bool CurlExchange::finishes_early() noexcept {
  const Request& request = exchange_->request;
  const auto& length = exchange_->head.length;
  if (request.body.empty() || !length || received_ < *length) return false;
  curl_off_t sent = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_UPLOAD_T, &sent);
  finished_ = static_cast<std::uint64_t>(sent) < request.body.size();
  return finished_;
}

// libcurl sends any request again, whatever its method and up to five times, when a reused
// connection closed without a byte of response. Once is right, on a new connection, and only for
// what may be done twice. It also does so after a 417, whose head the caller has by then.
int CurlExchange::on_request(int local_port) {
  const auto refuse = [this](errc code, const char* why) {
    refused_ = {.code = code, .detail = why, .url = {}, .retryable = !head_.started()};
    return CURL_PREREQFUNC_ABORT;
  };
  if (head_.complete() && exchange_->head.length == received_) {
    finished_ = true;
    return CURL_PREREQFUNC_ABORT;
  }
  if (head_.started()) {
    return refuse(errc::truncated,
                  "libcurl dropped this response's body to send the request again");
  }
  const bool repeated = sends_ > 0;
  if (repeated && (sends_ > 1 || !is_idempotent(exchange_->request.method))) {
    return refuse(errc::connection_lost,
                  "the connection closed before a response, and the request was not sent again");
  }
  if (is_reused() && (repeated || is_dirty(local_port))) {
    wants_other_connection_ = true;
    return CURL_PREREQFUNC_ABORT;
  }
  connected_ = true;
  progressed_ = driver_.now();
  ++sends_;
  if (repeated) restart();
  rearm();
  return CURL_PREREQFUNC_OK;
}

bool CurlExchange::is_reused() const noexcept {
  long connects = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_NUM_CONNECTS, &connects);
  return connects == 0;
}

/// libcurl takes its connection for good, though it is not.
bool CurlExchange::is_dirty(int local_port) const noexcept {
  return driver_.quirks().reuses_dirty && driver_.sockets().is_unusable(local_port);
}

void CurlExchange::restart() {
  head_.restart();
  phase_ = exchange_->request.body.empty() ? Phase::waiting : Phase::sending;
  sent_ = 0;
}

void CurlExchange::on_progress(curl_off_t sent) {
  const bool early = phase_ == Phase::body;  // the response came before all was sent
  if ((phase_ != Phase::sending && !early) || sent <= sent_) return;
  sent_ = sent;
  progressed_ = driver_.now();
  if (early || static_cast<std::uint64_t>(sent) < exchange_->request.body.size()) return;
  phase_ = Phase::waiting;
  rearm();
}

// -- From the top of the loop.

void CurlExchange::resume_transfer() {
  progressed_ = driver_.now();
  rearm();
  driver_.spin_guard().progress();
  // Calls on_body() before it returns. 43: libcurl has finished with it meanwhile.
  const CURLcode result = curl_easy_pause(easy_.get(), CURLPAUSE_CONT);
  if (result == CURLE_OK || result == CURLE_BAD_FUNCTION_ARGUMENT) return;
  complete(result);
  driver_.release(*this);
}

// RFC 9112 section 9.3: a connection can be used again only after the whole body was read from it.
void CurlExchange::cancel_transfer() {
  const auto& length = exchange_->head.length;
  if (phase_ != Phase::body || !length || *length - received_ > kDiscardBytes)
    return driver_.release(*this);
  phase_ = Phase::discarding;
  progressed_ = driver_.now();
  rearm();
  const CURLcode result = curl_easy_pause(easy_.get(), CURLPAUSE_CONT);
  if (result != CURLE_OK && result != CURLE_BAD_FUNCTION_ARGUMENT) driver_.release(*this);
}

// Wording a failure takes memory; without it the reader is told just that.
template <class Report>
void CurlExchange::report(Report&& call) noexcept {
  try {
    call();
  } catch (const std::bad_alloc&) {
    exchange_->fail_out_of_memory();
  }
}

void CurlExchange::complete(CURLcode result) noexcept {
  if (phase_ == Phase::discarding) return;
  report([&] { conclude(result); });
}

void CurlExchange::abort() noexcept {
  report([&] { fail({.code = errc::aborted, .detail = "the client was destroyed"}); });
}

bool CurlExchange::fail_unwatched() noexcept {
  if (!unwatched_) return false;
  if (phase_ != Phase::discarding) {
    report([&] { fail({.code = errc::resource_exhausted, .detail = "epoll_ctl"}); });
  }
  return true;
}

void CurlExchange::conclude(CURLcode result) {
  if (finished_) return exchange_->end();
  if (refused_) return fail(std::move(*refused_));
  // Its way of saying that a header line has more than 100 KiB (CURL_MAX_HTTP_HEADER).
  const bool long_line =
      result == CURLE_OUT_OF_MEMORY && !out_of_memory_ && connected_ && !head_.complete();
  if (long_line)
    return fail({.code = errc::too_large, .detail = "max_header_bytes: a line too long"});
  if (out_of_memory_ || result == CURLE_OUT_OF_MEMORY) return exchange_->fail_out_of_memory();
  if (result != CURLE_OK) {
    const Progress progress{.head_started = head_.started(),
                            .head_complete = head_.complete(),
                            .out_of_sockets = driver_.sockets().exhausted(),
                            .connect_timeout = driver_.options().connect_timeout};
    return fail(failure_of(result, words_.data(), progress));
  }
  if (!head_.complete())
    return fail({.code = errc::connection_lost, .detail = "the response has no complete head"});
  const auto& length = exchange_->head.length;
  if (length && received_ < *length)
    return fail({.code = errc::truncated, .detail = "fewer bytes than Content-Length"});
  exchange_->trailers = head_.take_trailers();
  exchange_->end();
}

void CurlExchange::fail(Failure failure) {
  failure.url = detail::without_credentials(exchange_->request.url);
  failure.bytes_received = received_;
  failure.status = head_.complete() ? head_.status() : 0;
  exchange_->fail(std::move(failure));
}

// -- Deadlines.

TimePoint CurlExchange::deadline() const noexcept {
  const Request& request = exchange_->request;
  const TimePoint total = after(started_, request.total_timeout);
  switch (phase_) {
    case Phase::sending:
      return connected_ ? std::min(total, after(progressed_, request.idle_timeout)) : total;
    case Phase::waiting: {
      const TimePoint from = request.body.empty() ? started_ : progressed_;
      return std::min(total, after(from, request.headers_timeout));
    }
    case Phase::body:
      return std::min(total, after(progressed_, exchange_->paused() ? request.consumer_timeout
                                                                    : request.idle_timeout));
    case Phase::discarding: break;
  }
  return progressed_ + kDiscardTime;
}

// Deadlines mostly move away, which is noticed when they come up; only a nearer one is set.
void CurlExchange::rearm() {
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
  if (phase_ != Phase::discarding) report([&] { fail(overdue(now)); });
  return true;
}

Failure CurlExchange::overdue(TimePoint now) const {
  const Request& request = exchange_->request;
  Failure failure{.code = errc::timed_out};
  if (after(started_, request.total_timeout) <= now) {
    failure.detail = named("total_timeout", request.total_timeout);
  } else if (phase_ == Phase::body && exchange_->paused()) {
    failure.code = errc::consumer_stalled;
    failure.detail = named("consumer_timeout", request.consumer_timeout);
  } else if (phase_ == Phase::waiting) {
    failure.detail = named("headers_timeout", request.headers_timeout);
  } else {
    failure.detail = named("idle_timeout", request.idle_timeout);
  }
  failure.retryable = !head_.started();
  return failure;
}

Timings CurlExchange::timings() const {
  const auto read = [this](CURLINFO info) {
    curl_off_t value = 0;
    curl_easy_getinfo(easy_.get(), info, &value);
    return std::chrono::microseconds(value);
  };
  return {.resolved = read(CURLINFO_NAMELOOKUP_TIME_T),
          .connected = read(CURLINFO_CONNECT_TIME_T),
          .secured = read(CURLINFO_APPCONNECT_TIME_T),
          .first_byte = read(CURLINFO_STARTTRANSFER_TIME_T)};
}

}  // namespace weir::net
