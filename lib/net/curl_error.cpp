#include "net/curl_error.hpp"

#include <string>

namespace weir::net {

namespace {

// Errors that mean the connection went away, or stopped making sense.
errc of_transfer(CURLcode code, std::string_view words, const Progress& progress) {
  switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:  // "Received HTTP/0.9 when not allowed"
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_FUNCTION_ARGUMENT:  // headers.c: a field that it cannot parse
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_HTTP3:
    case CURLE_BAD_CONTENT_ENCODING: return errc::protocol_error;
    case CURLE_RECV_ERROR:  // http_chunks.c: every complaint about chunks says so
      if (words.find("chunk") != std::string_view::npos) return errc::protocol_error;
      break;
    default: break;
  }
  return progress.head_complete ? errc::truncated : errc::connection_lost;
}

errc code_of(CURLcode code, std::string_view words, const Progress& progress) {
  if (progress.out_of_sockets && code == CURLE_COULDNT_CONNECT) return errc::resource_exhausted;
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

Failure failure_of(CURLcode code, std::string_view words, const Progress& progress) {
  Failure failure;
  failure.code = code_of(code, words, progress);
  if (is_proxy_failure(code)) failure.detail = "proxy: ";
  if (failure.code == errc::timed_out)
    failure.detail =
        "connect_timeout (" + std::to_string(progress.connect_timeout.count()) + " ms): ";
  failure.detail += words.empty() ? std::string_view(curl_easy_strerror(code)) : words;
  failure.retryable =
      !progress.head_started &&
      (failure.code == errc::connect_failed || failure.code == errc::connection_lost ||
       failure.code == errc::resolve_failed || failure.code == errc::timed_out);
  return failure;
}

}  // namespace weir::net
