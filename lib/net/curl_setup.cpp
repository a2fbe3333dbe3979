#include "net/curl_setup.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <limits>

#include "base/ascii.hpp"
#include "base/url_text.hpp"
#include "net/curl_driver.hpp"
#include "net/curl_quirks.hpp"

namespace weir::net {

namespace {

// RFC 9113 section 6.9.2: the stream's window until the server says otherwise.
constexpr std::size_t kFirstWindow = 65'535;

long whole_seconds(milliseconds time) {
  return static_cast<long>(std::chrono::ceil<std::chrono::seconds>(time).count());
}

// Ours comes first (curl_exchange_deadlines.cpp); by its own, libcurl divides the time between a
// host's addresses. It reads 0 as 300 s; ours means none.
long connect_timeout(milliseconds limit) {
  constexpr milliseconds::rep kLater = 250;
  constexpr milliseconds::rep kLongest = std::numeric_limits<std::int32_t>::max();
  const bool none = limit.count() == 0 || limit.count() > kLongest - kLater;
  return static_cast<long>(none ? kLongest : limit.count() + kLater);
}

// Also for an empty body: RFC 9110 section 8.6 wants Content-Length: 0 from these methods.
bool sends_length(const Request& request) noexcept {
  return request.has_body || request.method == "POST" || request.method == "PUT" ||
         request.method == "PATCH";
}

void apply_method(CURL* easy, const Request& request) {
  if (sends_length(request)) {
    set_option(easy, CURLOPT_POST, 1L);
    set_option(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set_option(easy, CURLOPT_POSTFIELDS, request.body.c_str());
  } else if (request.method == "HEAD") {
    set_option(easy, CURLOPT_NOBODY, 1L);
  }
  set_option(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

void apply_url(CURL* easy, const std::string& url) {
  // Parsing is the dearest part of setting up a small request: only what must be encoded is.
  const bool plain =
      std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (plain) return set_option(easy, CURLOPT_URL, url.c_str());
  const auto parsed = made<UrlHandle>(curl_url());
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), kUrlFlags) != CURLUE_OK)
    throw Error({.code = errc::invalid_argument, .detail = "malformed URL"});
  char* text = nullptr;
  if (curl_url_get(parsed.get(), CURLUPART_URL, &text, 0) != CURLUE_OK) throw std::bad_alloc();
  set_option(easy, CURLOPT_URL, CurlText(text).get());
}

}  // namespace

void initialize_curl() {
  static const CURLcode result = curl_global_init(CURL_GLOBAL_ALL);
  if (result != CURLE_OK)
    throw Error({.code = errc::unsupported, .detail = curl_easy_strerror(result)});
}

void check_option(CURLcode result) {
  if (result == CURLE_OK) return;
  if (result == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
  const bool lacking = result == CURLE_UNKNOWN_OPTION || result == CURLE_NOT_BUILT_IN;
  throw Error({.code = lacking ? errc::unsupported : errc::invalid_argument,
               .detail = std::string("libcurl: ") + curl_easy_strerror(result)});
}

void check_multi(CURLMcode result) {
  if (result == CURLM_OUT_OF_MEMORY) throw std::bad_alloc();
  if (result != CURLM_OK)
    throw Error({.code = errc::unsupported, .detail = curl_multi_strerror(result)});
}

void apply_common_options(CURL* easy, CurlDriver& driver) {
  const ClientOptions& options = driver.options();
  set_option(easy, CURLOPT_NOSIGNAL, 1L);
  set_option(easy, CURLOPT_QUICK_EXIT, 1L);  // removing a handle must not wait for its name lookup
  set_option(easy, CURLOPT_BUFFERSIZE, driver.quirks().buffer_size);
  set_option(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set_option(easy, CURLOPT_FOLLOWLOCATION, 0L);
  set_option(easy, CURLOPT_HTTP09_ALLOWED, 0L);
  set_option(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
  set_option(easy, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
  set_option(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_timeout(options.connect_timeout));
  set_option(easy, CURLOPT_TIMEOUT_MS, 0L);
  set_option(easy, CURLOPT_LOW_SPEED_TIME, 0L);
  set_option(easy, CURLOPT_TCP_NODELAY, 1L);
  set_option(easy, CURLOPT_MAXAGE_CONN, std::max(whole_seconds(options.keep_alive), 1L));
  driver.apply_to(easy);
}

CurlList apply_request(CURL* easy, const Request& request) {
  apply_url(easy, request.url);
  apply_method(easy, request);

  CurlList fields;
  std::string line;
  for (const Field& field : request.headers) {
    line = field.name;
    if (field.value.empty()) {
      line += ';';
    } else {
      line.append(": ").append(field.value);
    }
    fields.append(line.c_str());
  }
  if (sends_length(request)) {  // "Name:" keeps libcurl from making one up
    if (!request.headers.has("content-type")) fields.append("Content-Type:");
    if (!request.headers.has("expect")) fields.append("Expect:");
  }
  set_option(easy, CURLOPT_HTTPHEADER, fields.get());
  return fields;
}

void check_url(const std::string& text) {
  if (detail::is_plain_url(text)) return;  // parsing takes longer than all other checks
  const auto refuse = [&](const char* why) {
    throw Error(
        {.code = errc::invalid_argument, .detail = why, .url = detail::without_credentials(text)});
  };
  const auto url = made<UrlHandle>(curl_url());
  const CURLUcode result =
      curl_url_set(url.get(), CURLUPART_URL, text.c_str(), kUrlFlags | CURLU_NON_SUPPORT_SCHEME);
  if (result == CURLUE_OUT_OF_MEMORY) throw std::bad_alloc();
  if (result == CURLUE_BAD_SCHEME) refuse("URL without a scheme");
  if (result != CURLUE_OK || text.find('\0') != std::string::npos) refuse("malformed URL");
  char* scheme = nullptr;
  if (curl_url_get(url.get(), CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK) throw std::bad_alloc();
  const CurlText owned(scheme);
  if (!detail::equal_ignoring_case(scheme, "http") && !detail::equal_ignoring_case(scheme, "https"))
    refuse("URL scheme is neither http nor https");
}

VersionPlan plan_version(const Request& request, const CurlQuirks& quirks) {
  const bool tls = detail::is_https(request.url);
  const auto needs_http2 = [&] {
    if (quirks.http2_refusal == nullptr) return;
    throw Error({.code = errc::unsupported, .detail = quirks.http2_refusal});
  };
  // Plain http is HTTP/1.1: else newer ones use idle connections with prior knowledge for it.
  const VersionPlan by_alpn =
      tls ? VersionPlan{.version = CURL_HTTP_VERSION_2TLS, .may_be_http2 = true} : VersionPlan{};
  switch (request.version) {
    case HttpVersion::http1: return {};
    case HttpVersion::automatic:
      return quirks.http2_by_default && quirks.http2_refusal == nullptr ? by_alpn : VersionPlan{};
    case HttpVersion::http2:
      needs_http2();
      if (quirks.http2_upload_spins && request.body.size() > kFirstWindow) return {};
      return by_alpn;
    case HttpVersion::http2_prior_knowledge:
      needs_http2();
      return {.version = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
              .own_connection = quirks.h2c_only_once && !tls,
              .may_be_http2 = true,
              .must_be_http2 = true};
    case HttpVersion::http3:
    case HttpVersion::http3_only: break;
  }
  throw Error({.code = errc::unsupported, .detail = "version: HTTP/3"});
}

void apply_version(CURL* easy, const VersionPlan& plan, const ClientOptions& options) {
  set_option(easy, CURLOPT_HTTP_VERSION, plan.version);
  set_option(easy, CURLOPT_FRESH_CONNECT, plan.own_connection ? 1L : 0L);
  set_option(easy, CURLOPT_FORBID_REUSE, plan.own_connection ? 1L : forbid_reuse(options));
}

bool may_share_handle(const Request& request, const VersionPlan& plan) noexcept {
  return !plan.may_be_http2 && request.url.find('@') == std::string::npos;
}

bool may_be_sent_again(const Request& request) noexcept {
  return is_idempotent(request.method) && (!request.has_body || request.replayable);
}

bool is_idempotent(std::string_view method) noexcept {
  constexpr std::array<std::string_view, 6> kMethods{"GET", "HEAD",   "OPTIONS",
                                                     "PUT", "DELETE", "TRACE"};
  return std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end();
}

}  // namespace weir::net
