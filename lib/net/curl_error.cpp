#include "net/curl_error.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "base/url_text.hpp"
#include "net/curl_url.hpp"

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
// side's framing. libcurl's and nghttp2's own complaints name none of them. The last is libcurl's
// name for NO_ERROR before a response.
bool names_other_reason(std::string_view words) {
  for (const auto* reason :
       {"NO_ERROR", "INTERNAL_ERROR", "SETTINGS_TIMEOUT", "REFUSED_STREAM", "CANCEL",
        "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "HTTP_1_1_REQUIRED", "closed cleanly, but"}) {
    if (contains(words, reason)) return true;
  }
  return false;
}

// url.c: parse_proxy(), of the environment's.
constexpr std::string_view kBadProxy = "Unsupported proxy";

/// What a server has to say of the client's certificate comes after the handshake in TLS 1.3, as an
/// alert that openssl.c and gtls.c report as a failure to read.
bool is_tls_alert(CURLcode code, std::string_view words, const Progress& progress) {
  return !progress.head_started && (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR) &&
         (contains(words, " alert ") || contains(words, "TLS fatal alert") ||
          contains(words, "Certificate is required"));
}

/// gtls.c does not say why it refuses a certificate; the bits are gnutls_certificate_status_t's.
std::string gnutls_reasons(std::string_view words, long result) {
  if (!words.starts_with("server certificate verification failed")) return "";
  struct Reason {
    long bit;
    const char* text;
  };
  std::string text;
  for (const Reason& reason :
       {Reason{1L << 5, "revoked"},
        {1L << 6, "issuer unknown (self-signed, or the chain is incomplete)"},
        {1L << 7, "its issuer is no authority"},
        {1L << 8, "insecure algorithm"},
        {1L << 9, "not valid yet"},
        {1L << 10, "expired"},
        {1L << 11, "wrong signature"}}) {
    if ((result & reason.bit) != 0) text.append(text.empty() ? "; " : ", ").append(reason.text);
  }
  return text;
}

/// Of a proxy that was to make a tunnel: http_proxy.c's words, and socks.c's.
bool is_tunnel_failure(std::string_view words) {
  return contains(words, "CONNECT") || contains(words, "SOCKS") ||
         contains(words, "connection to proxy");
}

// Before the request, what breaks the connection is the proxy.
bool is_proxy_failure(CURLcode code, std::string_view words, const Progress& progress) {
  switch (code) {
    case CURLE_PROXY:
    case CURLE_COULDNT_RESOLVE_PROXY: return true;
    case CURLE_COULDNT_RESOLVE_HOST:  // also of a SOCKS proxy
    case CURLE_COULDNT_CONNECT: return progress.through_proxy || words.starts_with(kBadProxy);
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_WEIRD_SERVER_REPLY:
      return !progress.connected && !is_tls_alert(code, words, progress) &&
             (progress.through_proxy || is_tunnel_failure(words));
    default: return false;
  }
}

/// libcurl keeps its first words: what it found later, as a stream that was not closed, follows.
bool is_socket_failure(std::string_view words) {
  return words.starts_with("Send failure: ") || words.starts_with("Recv failure: ");
}

// Errors that mean the connection went away, or stopped making sense.
errc of_transfer(CURLcode code, std::string_view words, const Progress& progress) {
  if (is_socket_failure(words)) code = CURLE_RECV_ERROR;
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
      // http_chunks.c: a trailer of more than 4 KiB (DYN_H1_TRAILER).
      if (contains(words, "Out of memory in chunked")) return errc::too_large;
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
  if (is_tls_alert(code, words, progress)) return errc::tls_failed;
  // socks.c, where it looks up the server's name for a proxy that does not.
  if (code == CURLE_PROXY && contains(words, "Failed to resolve")) return errc::resolve_failed;
  if (is_proxy_failure(code, words, progress)) return errc::connect_failed;
  switch (code) {
    case CURLE_URL_MALFORMAT: return errc::invalid_argument;
    case CURLE_COULDNT_RESOLVE_HOST:  // asyn-thread.c: "getaddrinfo() thread failed to start"
      return contains(words, "thread failed") ? errc::resource_exhausted : errc::resolve_failed;
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

/// What libcurl's words leave out, or must not show.
std::string explained(CURLcode code, std::string_view words, const Progress& progress) {
  // These words quote it, password and all.
  if (words.starts_with(kBadProxy)) return "the environment's URL is not usable";
  std::string text(words.empty() ? std::string_view(curl_easy_strerror(code)) : words);
  if (code == CURLE_SSL_CERTPROBLEM || contains(words, "error reading X.509")) {
    text.insert(0, "client_cert or client_key: ");
  } else if (code == CURLE_SSL_CACERT_BADFILE) {
    text.insert(0, "ca_file or ca_pem: ");
  } else if (code == CURLE_PEER_FAILED_VERIFICATION) {
    text += gnutls_reasons(words, progress.verify_result);
  } else if (is_tls_alert(code, words, progress)) {
    text.insert(0, "the server refused the client's certificate, or wants one: ");
  }
  return text;
}

std::string lower(std::string_view text) {
  std::string lowered(text);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(), detail::to_lower);
  return lowered;
}

bool may_pass(const Failure& failure, std::string_view words) {
  if (contains(words, "CONNECT tunnel failed, response 4")) return false;
  return failure.code == errc::connect_failed || failure.code == errc::connection_lost ||
         failure.code == errc::resolve_failed || failure.code == errc::timed_out;
}

}  // namespace

bool connection_ended(CURLcode code, std::string_view words) {
  return code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
         code == CURLE_GOT_NOTHING || (code == CURLE_HTTP2 && !contains(words, kNghttp2));
}

Failure failure_of(CURLcode code, std::string_view words, const Progress& progress) {
  Failure failure;
  failure.code = code_of(code, words, progress);
  if (code == CURLE_PROXY || is_proxy_failure(code, words, progress)) failure.detail = "proxy: ";
  if (failure.code == errc::timed_out)
    failure.detail =
        "connect_timeout (" + std::to_string(progress.connect_timeout.count()) + " ms): ";
  if (failure.code == errc::too_large) failure.detail = "max_header_bytes: ";
  failure.detail += explained(code, words, progress);
  failure.retryable = !progress.head_started && may_pass(failure, words);
  return failure;
}

bool went_elsewhere(std::string_view words, const std::string& url) {
  constexpr std::string_view kStart = "Failed to connect to ";
  constexpr std::string_view kLookup = "Could not resolve host: ";
  if (words.starts_with(kLookup))
    return !contains(origin_of(url), lower(words.substr(kLookup.size())));
  if (!words.starts_with(kStart)) return false;
  if (contains(words, " via ")) return true;               // newer ones name both
  std::string place = lower(words.substr(kStart.size()));  // "host port 80 after 0 ms: ..."
  const auto port = place.find(" port ");
  if (port == place.npos) return false;
  place.resize(std::min(place.find(' ', port + 6), place.size()));
  place.replace(port, 6, ":");
  std::string origin = origin_of(url);
  std::erase_if(origin, [](char c) { return c == '[' || c == ']'; });
  return !origin.ends_with("//" + place);
}

Failure client_destroyed(const std::string& url) {
  return {.code = errc::aborted,
          .detail = "the client was destroyed",
          .url = detail::without_credentials(url)};
}

}  // namespace weir::net
