#include "net/curl_exchange.hpp"

#include <new>
#include <utility>

#include "base/url_text.hpp"
#include "net/curl_driver.hpp"

namespace weir::net {

namespace {

// What a handle may have been made to remember, to be kept for other requests: libcurl holds
// copies of the URL and of the head until the next one.
constexpr std::size_t kUrlBytes = 2048;
constexpr std::size_t kHeadBytes = 8192;
constexpr std::size_t kHeadFields = 64;

}  // namespace

CurlExchange::CurlExchange(CurlDriver& driver, std::shared_ptr<Exchange> exchange,
                           const Journey& journey)
    : driver_(driver),
      exchange_(std::move(exchange)),
      journey_(journey),
      plan_(plan_version(exchange_->request, driver.quirks())),
      easy_(may_share_handle(exchange_->request, plan_) ? driver.handles().take() : nullptr),
      head_(driver.options().max_header_bytes, driver.options().max_header_fields),
      phase_(exchange_->request.body.empty() ? Phase::waiting : Phase::sending),
      begun_(driver.now()),
      progressed_(begun_) {
  if (!easy_) easy_ = make_handle(driver);
  apply_version(easy(), plan_, driver.options());
  set_data();
  fields_ = apply_request(easy(), exchange_->request);
  rearm();
  exchange_->attach(this);
}

CurlExchange::~CurlExchange() {
  driver_.lookups().leave(*this);
  driver_.deadlines().remove(*this);
  if (attached_) exchange_->attach(nullptr);
  if (!keep_handle_) return;
  curl_easy_setopt(easy(), CURLOPT_PRIVATE, nullptr);
  curl_easy_setopt(easy(), CURLOPT_ERRORBUFFER, nullptr);
  driver_.handles().give(std::move(easy_));
}

void CurlExchange::await_turn() {
  waits_ = true;
  rearm();
}

void CurlExchange::have_turn() noexcept {
  waits_ = false;
  begun_ = driver_.now();
}

EasyHandle CurlExchange::make_handle(CurlDriver& driver) {
  auto handle = made<EasyHandle>(curl_easy_init());
  apply_common_options(handle.get(), driver);
  set_functions(handle.get());
  return handle;
}

void CurlExchange::resume_transfer() {
  progressed_ = driver_.now();
  rearm();
  journey_.trace.step(TraceKind::resume);
  driver_.spin_guard().progress();
  const CURLcode result = unpause();
  if (result == CURLE_OK) return;
  complete(result);
  driver_.cut(*this);
}

// A connection is kept only if little of the body is left: HTTP/1.1 must read that (RFC 9112
// section 9.3), HTTP/2 resets the stream.
void CurlExchange::cancel_transfer() {
  journey_.trace.failure(errc::aborted);
  const auto& length = exchange_->head.length;
  if (phase_ != Phase::body || !length || *length - received_ > kDiscardBytes)
    return driver_.cut(*this);
  if (head_.version() == HttpVersion::http2) {
    driver_.sockets().hold(socket_, false);  // others will read from it
    return driver_.release(*this);
  }
  phase_ = Phase::discarding;
  progressed_ = driver_.now();
  rearm();
  if (unpause() != CURLE_OK) driver_.cut(*this);
}

CURLcode CurlExchange::unpause() noexcept {
  if (!driver_.sockets().hold(socket_, false)) driver_.lose_watch(*this);
  // Calls on_body() before it returns. 43: libcurl has finished with it meanwhile.
  const CURLcode result = curl_easy_pause(easy_.get(), CURLPAUSE_CONT);
  return result == CURLE_BAD_FUNCTION_ARGUMENT ? CURLE_OK : result;
}

void CurlExchange::complete(CURLcode result) noexcept {
  if (hop_) keep_handle_ = result == CURLE_OK && keeps_handle();
  if (phase_ == Phase::discarding) return;
  report(*exchange_, journey_.trace, [&] { conclude(result); });
}

void CurlExchange::take_hop() noexcept {
  journey_.trace.redirect(exchange_->head.status);
  take(exchange_->request, std::move(*hop_));
}

void CurlExchange::abort() noexcept {
  report(*exchange_, journey_.trace, [&] { fail(client_destroyed(exchange_->request.url)); });
}

bool CurlExchange::fail_unwatched() noexcept {
  if (!unwatched_) return false;
  if (phase_ != Phase::discarding) {
    report(*exchange_, journey_.trace,
           [&] { fail({.code = errc::resource_exhausted, .detail = "epoll_ctl"}); });
  }
  return true;
}

// libcurl does so itself over HTTP/1.1, and after REFUSED_STREAM; not where the connection of
// HTTP/2 ended, or (7.88.1) the server said GOAWAY.
bool CurlExchange::may_go_again(CURLcode result) const noexcept {
  return connection_ended(result, words_.data()) && !refused_ && sends_ == 1 && !head_.started() &&
         is_reused() && may_be_sent_again(exchange_->request);
}

void CurlExchange::conclude(CURLcode result) {
  if (finished_) return end();
  if (refused_) return fail(std::move(*refused_));
  // In one long call of libcurl: ours had passed before.
  if (result == CURLE_OPERATION_TIMEDOUT && deadline() <= exchange_->hub()->clock.now())
    return fail(overdue());
  // Its way of saying that a header line has more than 100 KiB (CURL_MAX_HTTP_HEADER).
  const bool long_line =
      result == CURLE_OUT_OF_MEMORY && !out_of_memory_ && connected_ && !head_.complete();
  if (long_line)
    return fail({.code = errc::too_large,
                 .detail = "max_header_bytes: libcurl reads no line of more than 102400 bytes"});
  if (out_of_memory_ || result == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
  if (result != CURLE_OK) {
    return fail(failure_of(result, words_.data(), progress()));
  }
  if (!head_.complete())
    return fail({.code = errc::connection_lost, .detail = "the response has no complete head"});
  const auto& length = exchange_->head.length;
  if (length && received_ < *length)
    return fail({.code = errc::truncated, .detail = "fewer bytes than Content-Length"});
  exchange_->trailers = std::move(head_.trailers());
  keep_handle_ = keeps_handle();
  end();
}

Progress CurlExchange::progress() const {
  Progress progress{.head_started = head_.started(),
                    .head_complete = head_.complete(),
                    .out_of_sockets = out_of_sockets_,
                    .connect_timeout = driver_.options().connect_timeout,
                    .connected = connected_};
  progress.through_proxy =
      driver_.route().has_proxy() || (driver_.options().unix_socket.empty() &&
                                      went_elsewhere(words_.data(), exchange_->request.url));
  curl_easy_getinfo(easy_.get(), CURLINFO_SSL_VERIFYRESULT, &progress.verify_result);
  return progress;
}

// Only a GET sets no options but those that every exchange sets; and nothing unusual happened.
bool CurlExchange::keeps_handle() const noexcept {
  const Request& request = exchange_->request;
  return request.method == "GET" && !request.has_body && may_share_handle(request, plan_) &&
         sends_ == 1 && request.url.size() <= kUrlBytes && head_.bytes() <= kHeadBytes &&
         head_.count() <= kHeadFields;
}

void CurlExchange::end() {
  journey_.trace.end();
  exchange_->end();
}

void CurlExchange::fail(Failure failure) {
  journey_.trace.failure(failure.code);
  failure.url = detail::without_credentials(exchange_->request.url);
  failure.bytes_received = received_;
  failure.status = head_.complete() ? head_.status() : 0;
  exchange_->fail(std::move(failure));
}

}  // namespace weir::net
