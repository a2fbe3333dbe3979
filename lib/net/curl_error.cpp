#include "net/curl_error.hpp"

#include "base/url_text.hpp"

namespace weir::net {

namespace {

bool contains(std::string_view words, std::string_view part) {
  return words.find(part) != std::string_view::npos;
}

// http2.c: "nghttp2_submit_settings() failed"; in newer ones "nghttp2 shuts down connection".
constexpr std::string_view kNghttp2 = "nghttp2";

// CURLE_TOO_LARGE, which older headers lack.
constexpr int kTooLarge = 100;

// Why an HTTP/2 stream was closed, by RFC 9113's names: reasons that find no fault with the other
// side's framing. libcurl's and nghttp2's own complaints name none of them.
bool names_other_reason(std::string_view words) {
  for (const auto* reason : {"NO_ERROR", "INTERNAL_ERROR", "SETTINGS_TIMEOUT", "REFUSED_STREAM",
                             "CANCEL", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"}) {
    if (contains(words, reason)) return true;
  }
  return false;
}

// Errors that mean the connection went away, or stopped making sense.
errc of_transfer(CURLcode code, std::string_view words, const Progress& progress) {
  switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:  // "Received HTTP/0.9 when not allowed"
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_FUNCTION_ARGUMENT:  // headers.c: a field that it cannot parse
    case CURLE_HTTP3:
    case CURLE_BAD_CONTENT_ENCODING: return errc::protocol_error;
    case CURLE_HTTP2:
      if (!connection_ended(code, words)) return errc::protocol_error;
      break;
    case CURLE_HTTP2_STREAM:
      if (!names_other_reason(words)) return errc::protocol_error;
      break;
    case CURLE_RECV_ERROR:
      // http2.c on one head: nghttp2's limit, and its own (the only thing its callbacks refuse).
      if (contains(words, "CONTINUATION") || contains(words, "callback")) return errc::too_large;
      // http_chunks.c: every complaint about chunks says so. http2.c: nghttp2 refused what came.
      if (contains(words, "chunk") || contains(words, "mem_recv")) return errc::protocol_error;
      break;
    default: break;
  }
  return progress.head_complete ? errc::truncated : errc::connection_lost;
}

errc code_of(CURLcode code, std::string_view words, const Progress& progress) {
  if (progress.out_of_sockets && code == CURLE_COULDNT_CONNECT) return errc::resource_exhausted;
  if (code == kTooLarge) return errc::too_large;
  switch (code) {
    case CURLE_URL_MALFORMAT: return errc::invalid_argument;
    case CURLE_COULDNT_RESOLVE_HOST: return errc::resolve_failed;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED: return errc::connect_failed;
    case CURLE_OPERATION_TIMEDOUT:  // the only libcurl timeout in use is the connect timeout
      return errc::timed_out;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_USE_SSL_FAILED:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT: return errc::tls_failed;
    case CURLE_NOT_BUILT_IN:
    case CURLE_UNKNOWN_OPTION: return errc::unsupported;
    default: return of_transfer(code, words, progress);
  }
}

bool is_proxy_failure(CURLcode code) {
  return code == CURLE_PROXY || code == CURLE_COULDNT_RESOLVE_PROXY;
}

}  // namespace

bool connection_ended(CURLcode code, std::string_view words) {
  return code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
         code == CURLE_GOT_NOTHING || (code == CURLE_HTTP2 && !contains(words, kNghttp2));
}

Failure failure_of(CURLcode code, std::string_view words, const Progress& progress) {
  Failure failure;
  failure.code = code_of(code, words, progress);
  if (is_proxy_failure(code)) failure.detail = "proxy: ";
  if (failure.code == errc::timed_out)
    failure.detail =
        "connect_timeout (" + std::to_string(progress.connect_timeout.count()) + " ms): ";
  if (failure.code == errc::too_large) failure.detail = "max_header_bytes: ";
  failure.detail += words.empty() ? std::string_view(curl_easy_strerror(code)) : words;
  failure.retryable =
      !progress.head_started &&
      (failure.code == errc::connect_failed || failure.code == errc::connection_lost ||
       failure.code == errc::resolve_failed || failure.code == errc::timed_out);
  return failure;
}

Failure client_destroyed(const std::string& url) {
  return {.code = errc::aborted,
          .detail = "the client was destroyed",
          .url = detail::without_credentials(url)};
}

}  // namespace weir::net
