#include <cassert>
#include <new>
#include <utility>

#include "base/url_text.hpp"
#include "net/curl_driver.hpp"
#include "net/curl_exchange.hpp"

namespace weir::net {

// What libcurl calls: `self` is the CurlExchange. Nothing may be thrown through libcurl's frames.
struct CurlCallbacks {
  template <class Call>
  static auto guarded(CurlExchange& self, decltype(std::declval<Call>()()) stop, Call call) noexcept
      -> decltype(stop) {
    try {
      try {
        return call();
      } catch (const Error& error) {
        self.refuse(error.failure());
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
  static curl_socket_t open(void* self, curlsocktype, curl_sockaddr* address) noexcept {
    auto& exchange = *static_cast<CurlExchange*>(self);
    SocketTable& sockets = exchange.driver_.sockets();
    const int opened = sockets.open(address->family, address->socktype, address->protocol);
    exchange.out_of_sockets_ = opened < 0 && sockets.exhausted();
    return opened;
  }
  static int lookup(void*, void*, void* self) noexcept {
    auto& exchange = *static_cast<CurlExchange*>(self);
    return guarded(exchange, 1, [&] { return exchange.on_lookup() ? 0 : 1; });
  }
  static int progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent) noexcept {
    auto& exchange = *static_cast<CurlExchange*>(self);
    return guarded(exchange, 1, [&] {
      exchange.on_progress(sent);
      return 0;
    });
  }
};

void CurlExchange::set_functions(CURL* easy) {
  set_option(easy, CURLOPT_HEADERFUNCTION, &CurlCallbacks::header);
  set_option(easy, CURLOPT_WRITEFUNCTION, &CurlCallbacks::body);
  set_option(easy, CURLOPT_OPENSOCKETFUNCTION, &CurlCallbacks::open);
  set_option(easy, CURLOPT_RESOLVER_START_FUNCTION, &CurlCallbacks::lookup);
  set_option(easy, CURLOPT_PREREQFUNCTION, &CurlCallbacks::request);
  set_option(easy, CURLOPT_XFERINFOFUNCTION, &CurlCallbacks::progress);
}

void CurlExchange::set_data() {
  set_option(easy(), CURLOPT_PRIVATE, this);
  set_option(easy(), CURLOPT_ERRORBUFFER, words_.data());
  set_option(easy(), CURLOPT_HEADERDATA, this);
  set_option(easy(), CURLOPT_WRITEDATA, this);
  set_option(easy(), CURLOPT_OPENSOCKETDATA, this);
  set_option(easy(), CURLOPT_RESOLVER_START_DATA, this);
  set_option(easy(), CURLOPT_PREREQDATA, this);
  if (phase_ != Phase::sending) return;
  set_option(easy(), CURLOPT_NOPROGRESS, 0L);
  set_option(easy(), CURLOPT_XFERINFODATA, this);
}

std::size_t CurlExchange::on_header(std::string_view line) {
  driver_.spin_guard().progress();
  switch (head_.line(line)) {
    case ResponseHead::Step::failed: refuse(head_.failure()); return 0;
    case ResponseHead::Step::complete: return on_head() ? line.size() : 0;
    case ResponseHead::Step::interim: journey_.trace.interim(head_.status()); break;
    case ResponseHead::Step::more: break;
  }
  return line.size();
}

bool CurlExchange::on_head() {
  assert(phase_ == Phase::sending || phase_ == Phase::waiting);
  if (!check_version()) return false;
  take_head();
  auto hop = next_hop(exchange_->request, exchange_->head);
  if (!hop) return open();
  hop_ = std::make_unique<Hop>(std::move(*hop));
  return pass_over();
}

void CurlExchange::take_head() {
  const Request& request = exchange_->request;
  Head& head = exchange_->head;
  head.status = head_.status();
  head.headers = std::move(head_.fields());
  head.url = detail::without_credentials(request.url);
  head.version = head_.version();
  head.timings = timings();
  const bool bodiless = request.method == "HEAD" || head.status == 204 || head.status == 304;
  if (head_.must_close()) forbid_reuse();
  head.length = bodiless ? std::optional<std::uint64_t>{0} : head_.length();
}

bool CurlExchange::open() {
  // libcurl stops sending at an error status: http.c, "HTTP error before end of send".
  if (phase_ == Phase::sending) look_for_end();
  phase_ = Phase::body;
  progressed_ = driver_.now();
  rearm();
  journey_.trace.response(exchange_->head.status);
  exchange_->open();
  return !finishes_early();
}

/// The rest of a redirect is read only if it is short, and its request is out.
bool CurlExchange::pass_over() {
  if (!exchange_->request.body.empty()) journey_.asked = progressed_;
  phase_ = Phase::discarding;
  progressed_ = driver_.now();
  rearm();
  const auto& length = exchange_->head.length;
  if (sent_all() && (!length || *length <= kDiscardBytes)) return true;
  forbid_reuse();
  return false;
}

std::size_t CurlExchange::discard(std::size_t count) {
  received_ += count;
  if (!hop_ || received_ <= kDiscardBytes) return count;
  forbid_reuse();
  return CURL_WRITEFUNC_ERROR;
}

void CurlExchange::forbid_reuse() noexcept {
  curl_easy_setopt(easy_.get(), CURLOPT_FORBID_REUSE, 1L);  // HTTP/2 would keep the connection
}

bool CurlExchange::check_version() {
  const bool http2 = head_.version() == HttpVersion::http2;
  if (http2 && !plan_.may_be_http2)
    refuse({.code = errc::protocol_error, .detail = "an HTTP/2 status line over HTTP/1.1"});
  if (!http2 && plan_.must_be_http2)
    refuse({.code = errc::unsupported, .detail = "the server speaks HTTP/1.1 only"});
  if (http2) driver_.sockets().speaks_http2(socket_);
  return !refused_;
}

std::size_t CurlExchange::on_body(Bytes data) {
  driver_.spin_guard().progress();
  if (phase_ == Phase::discarding) return discard(data.size());
  const auto& length = exchange_->head.length;
  const bool completes = length && received_ < *length && received_ + data.size() >= *length;
  progressed_ = driver_.now();
  if (exchange_->offer(data, completes) == flow::Channel::Offer::paused) {
    drained_ = exchange_->stats().drained;
    rearm();
    if (driver_.quirks().reads_while_paused) driver_.sockets().hold(socket_, true);
    journey_.trace.step(TraceKind::pause);
    return CURL_WRITEFUNC_PAUSE;
  }
  received_ += data.size();
  return finishes_early() ? CURL_WRITEFUNC_ERROR : data.size();
}

/// The response is complete and the request is not: libcurl would send on, if need be for ever.
bool CurlExchange::finishes_early() noexcept {
  const auto& length = exchange_->head.length;
  finished_ = length && received_ >= *length && !sent_all();
  return finished_;
}

bool CurlExchange::sent_all() const noexcept {
  const std::size_t size = exchange_->request.body.size();
  curl_off_t sent = 0;
  if (size > 0) curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_UPLOAD_T, &sent);
  return static_cast<std::uint64_t>(sent) >= size;
}

// libcurl sends any request again, whatever its method and up to five times, when a reused
// connection closed without a byte of response. Once is right, on a new connection, and only for
// what may be done twice. It also does so after a 417, whose head the caller has by then.
int CurlExchange::on_request(int local_port) {
  if (orphan_) return CURL_PREREQFUNC_ABORT;
  if (head_.complete() && exchange_->head.length == received_) {
    finished_ = true;
    return CURL_PREREQFUNC_ABORT;
  }
  if (head_.started()) {
    return refuse(errc::truncated,
                  "libcurl dropped this response's body to send the request again");
  }
  const bool repeated = sends_ > 0;
  if (repeated && (sends_ > 1 || !may_be_sent_again(exchange_->request))) {
    return refuse(errc::connection_lost,
                  "the connection closed before a response, and the request was not sent again");
  }
  const bool reused = is_reused();
  if (reused && (repeated || must_not_use(local_port))) {
    wants_other_connection_ = true;
    forbid_reuse();
    return CURL_PREREQFUNC_ABORT;
  }
  connected_ = true;
  progressed_ = driver_.now();
  ++sends_;
  if (repeated) restart();
  rearm();
  journey_.trace.step(reused ? TraceKind::reuse : TraceKind::connect);
  return CURL_PREREQFUNC_OK;
}

void CurlExchange::refuse(Failure why) { refused_ = std::make_unique<Failure>(std::move(why)); }

int CurlExchange::refuse(errc code, const char* why) {
  refuse({.code = code, .detail = why, .url = {}, .retryable = !head_.started()});
  return CURL_PREREQFUNC_ABORT;
}

bool CurlExchange::is_reused() const noexcept {
  long connects = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_NUM_CONNECTS, &connects);
  return connects == 0;
}

/// libcurl takes that idle connection for good, though it is not.
bool CurlExchange::must_not_use(int local_port) const noexcept {
  SocketTable& sockets = driver_.sockets();
  if (plan_.must_be_http2 && !sockets.is_http2(local_port)) return true;
  return driver_.quirks().reuses_dirty && sockets.is_unusable(local_port);
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
  if (static_cast<std::uint64_t>(sent) < exchange_->request.body.size()) return;
  look_for_end();
  if (early) return;
  phase_ = Phase::waiting;
  rearm();
}

// The request ends, which may be what closes the stream.
void CurlExchange::look_for_end() noexcept {
  unread_ = plan_.may_be_http2 && driver_.quirks().http2_end_unnoticed;
  if (unread_) driver_.read_again();
}

Timings CurlExchange::timings() const {
  using std::chrono::microseconds;
  const auto before = std::chrono::duration_cast<microseconds>(begun_ - journey_.started);
  const auto read = [&](CURLINFO info) {
    curl_off_t value = 0;
    curl_easy_getinfo(easy_.get(), info, &value);
    return value == 0 ? microseconds(0) : before + microseconds(value);
  };
  return {.resolved = read(CURLINFO_NAMELOOKUP_TIME_T),
          .connected = read(CURLINFO_CONNECT_TIME_T),
          .secured = read(CURLINFO_APPCONNECT_TIME_T),
          .first_byte = read(CURLINFO_STARTTRANSFER_TIME_T)};
}

}  // namespace weir::net
