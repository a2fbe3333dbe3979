#include "net/curl_error.hpp"

#include <doctest/doctest.h>

#include <string>

using weir::errc;
using weir::net::failure_of;
using weir::net::Progress;

namespace {

struct Row {
  CURLcode code;
  const char* words;
  Progress progress;
  errc expected;
  bool retryable;
};

const Progress kNothing{};
const Progress kInHead{.head_started = true};
const Progress kInBody{.head_started = true, .head_complete = true};
const Progress kSent{.connected = true, .through_proxy = true};
const Progress kToProxy{.through_proxy = true};

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("failure_of: names what the caller can do") {
  const Row rows[] = {
      {CURLE_COULDNT_RESOLVE_HOST, "Could not resolve host: x", kNothing, errc::resolve_failed,
       true},
      {CURLE_COULDNT_CONNECT, "refused", kNothing, errc::connect_failed, true},
      {CURLE_OPERATION_TIMEDOUT, "timeout", kNothing, errc::timed_out, true},
      {CURLE_PEER_FAILED_VERIFICATION, "bad certificate", kNothing, errc::tls_failed, false},
      {CURLE_SSL_CONNECT_ERROR, "handshake", kNothing, errc::tls_failed, false},
      {CURLE_GOT_NOTHING, "Empty reply", kNothing, errc::connection_lost, true},
      {CURLE_RECV_ERROR, "reset", kNothing, errc::connection_lost, true},
      {CURLE_RECV_ERROR, "reset", kInHead, errc::connection_lost, false},
      {CURLE_RECV_ERROR, "reset", kInBody, errc::truncated, false},
      {CURLE_PARTIAL_FILE, "closed", kInBody, errc::truncated, false},
      {CURLE_RECV_ERROR, "Illegal or missing hexadecimal sequence in chunked-encoding", kInBody,
       errc::protocol_error, false},
      {CURLE_RECV_ERROR, "Out of memory in chunked-encoding", kInBody, errc::too_large, false},
      {CURLE_WEIRD_SERVER_REPLY, "odd", kInHead, errc::protocol_error, false},
      {CURLE_UNSUPPORTED_PROTOCOL, "Received HTTP/0.9 when not allowed", kNothing,
       errc::protocol_error, false},
      {CURLE_HTTP2_STREAM, "HTTP/2 stream 1 was not closed cleanly: INTERNAL_ERROR (err 2)",
       kNothing, errc::connection_lost, true},
      {CURLE_HTTP2_STREAM, "Send failure: Broken pipe", kInBody, errc::truncated, false},
      {CURLE_HTTP2, "Recv failure: Connection reset by peer", kNothing, errc::connection_lost,
       true},
      {CURLE_HTTP2_STREAM, "HTTP/2 stream 1 was not closed cleanly: CANCEL (err 8)", kInBody,
       errc::truncated, false},
      {CURLE_HTTP2_STREAM, "HTTP/2 stream 1 was not closed cleanly: PROTOCOL_ERROR (err 1)",
       kNothing, errc::protocol_error, false},
      {CURLE_HTTP2_STREAM, "HTTP/2 stream 1 was closed cleanly, but before getting  all", kNothing,
       errc::connection_lost, true},
      {CURLE_HTTP2_STREAM, "HTTP/2 stream 1 was not closed cleanly: HTTP_1_1_REQUIRED (err 13)",
       kNothing, errc::connection_lost, true},
      {CURLE_HTTP2_STREAM, "Invalid HTTP header field was received: frame type: 1", kInHead,
       errc::protocol_error, false},
      {CURLE_HTTP2, "nghttp2_submit_settings() failed", kNothing, errc::protocol_error, false},
      {CURLE_HTTP2, "HTTP/2 stream 1 was reset", kNothing, errc::connection_lost, true},
      {CURLE_HTTP2, "", kNothing, errc::connection_lost, true},
      {CURLE_HTTP2, "", kInBody, errc::truncated, false},
      {CURLE_PARTIAL_FILE, "HTTP/2 stream 1 was reset", kInBody, errc::truncated, false},
      {CURLE_RECV_ERROR, "nghttp2_session_mem_recv() returned -902:The user callback function",
       kNothing, errc::too_large, false},
      {CURLE_RECV_ERROR, "nghttp2_session_mem_recv() returned -505: Protocol error", kInBody,
       errc::protocol_error, false},
      {CURLE_RECV_ERROR, "mem_recv() returned -905:Too many CONTINUATION frames", kNothing,
       errc::too_large, false},
      {static_cast<CURLcode>(100), "a value or data field is too large", kInHead, errc::too_large,
       false},
      {CURLE_PROXY, "refused", kNothing, errc::connect_failed, true},
      {CURLE_NOT_BUILT_IN, "", kNothing, errc::unsupported, false},
      {CURLE_PROXY, "Failed to resolve \"x\" for SOCKS5 connect.", kToProxy, errc::resolve_failed,
       true},
      {CURLE_COULDNT_RESOLVE_PROXY, "Could not resolve proxy: x", kToProxy, errc::connect_failed,
       true},
      {CURLE_COULDNT_RESOLVE_HOST, "Could not resolve host: x", kToProxy, errc::connect_failed,
       true},
      {CURLE_COULDNT_CONNECT, "refused", kToProxy, errc::connect_failed, true},
      {CURLE_RECV_ERROR, "CONNECT tunnel failed, response 407", kNothing, errc::connect_failed,
       false},
      {CURLE_RECV_ERROR, "CONNECT tunnel failed, response 502", kNothing, errc::connect_failed,
       true},
      {CURLE_RECV_ERROR, "Proxy CONNECT aborted", kNothing, errc::connect_failed, true},
      {CURLE_RECV_ERROR, "reset", kToProxy, errc::connect_failed, true},
      {CURLE_RECV_ERROR, "reset", kSent, errc::connection_lost, true},
      {CURLE_GOT_NOTHING, "Empty reply", kSent, errc::connection_lost, true},
      {CURLE_RECV_ERROR, "OpenSSL SSL_read: tlsv13 alert certificate required, errno 0", kSent,
       errc::tls_failed, false},
      {CURLE_RECV_ERROR, "GnuTLS recv error (-12): A TLS fatal alert has been received.", kNothing,
       errc::tls_failed, false},
      {CURLE_RECV_ERROR, "OpenSSL SSL_read: sslv3 alert bad record mac, errno 0", kInBody,
       errc::truncated, false},
      {CURLE_SSL_PINNEDPUBKEYNOTMATCH, "pinned", kNothing, errc::tls_failed, false},
      {CURLE_SSL_CACERT_BADFILE, "", kNothing, errc::tls_failed, false},
      {CURLE_SSL_CERTPROBLEM, "could not load", kNothing, errc::tls_failed, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.code);
    const auto failure = failure_of(row.code, row.words, row.progress);
    CHECK(failure.code == row.expected);
    CHECK(failure.retryable == row.retryable);
    CHECK_FALSE(failure.detail.empty());
  }
}

TEST_CASE("failure_of: says which timeout, and that a proxy was to blame") {
  Progress progress;
  progress.connect_timeout = std::chrono::milliseconds(1500);
  CHECK(failure_of(CURLE_OPERATION_TIMEDOUT, "x", progress).detail ==
        "connect_timeout (1500 ms): x");
  CHECK(failure_of(CURLE_PROXY, "x", progress).detail == "proxy: x");
}

TEST_CASE("failure_of: no socket to connect with is exhaustion, not a refusal") {
  Progress progress;
  progress.out_of_sockets = true;
  CHECK(failure_of(CURLE_COULDNT_CONNECT, "x", progress).code == errc::resource_exhausted);
  CHECK(failure_of(CURLE_COULDNT_RESOLVE_HOST, "x", progress).code == errc::resolve_failed);
}

TEST_CASE("failure_of: a failure of the proxy begins with that word, and shows no URL of it") {
  struct Words {
    CURLcode code;
    const char* words;
  };
  for (const Words& said :
       {Words{CURLE_PROXY, "SOCKS5"},
        Words{CURLE_RECV_ERROR, "CONNECT tunnel failed, response 403"},
        Words{CURLE_COULDNT_RESOLVE_PROXY, "Unsupported proxy syntax in 'http://u:secret@x:y'"},
        Words{CURLE_COULDNT_CONNECT, "Unsupported proxy scheme for 'x://u:secret@x'"}}) {
    CAPTURE(said.words);
    const auto failure = failure_of(said.code, said.words, {});
    CHECK(failure.code == errc::connect_failed);
    CHECK(failure.detail.starts_with("proxy: "));
    CHECK(failure.detail.find("secret") == std::string::npos);
  }
}

TEST_CASE("failure_of: says why GnuTLS refused a certificate") {
  const auto detail = [](long bits) {
    return failure_of(CURLE_PEER_FAILED_VERIFICATION,
                      "server certificate verification failed. CAfile: none CRLfile: none",
                      {.verify_result = bits})
        .detail;
  };
  CHECK(detail(0x402).ends_with("; expired"));
  CHECK(detail(0x42).find("self-signed") != std::string::npos);
  CHECK(detail(0x442).find(", expired") != std::string::npos);
  CHECK(failure_of(CURLE_PEER_FAILED_VERIFICATION, "SSL certificate problem",
                   {.verify_result = 0x400})
            .detail == "SSL certificate problem");
}

TEST_CASE("went_elsewhere: tells a proxy's connection by the name in libcurl's words") {
  using weir::net::went_elsewhere;
  const std::string url = "https://user:proxy@server:81/proxy";
  CHECK(went_elsewhere("Failed to connect to 127.0.0.9 port 81 after 0 ms: x", url));
  CHECK(went_elsewhere("Failed to connect to server port 80 after 0 ms: x", url));
  CHECK_FALSE(went_elsewhere("Failed to connect to Server port 81 after 0 ms: x", url));
  CHECK_FALSE(went_elsewhere("Failed to connect to ::1 port 443 after 0 ms", "https://[::1]/"));
  CHECK(went_elsewhere("Failed to connect to server port 81 via 127.0.0.9 after 0 ms", url));
  CHECK_FALSE(went_elsewhere("Connection refused", url));
  CHECK(went_elsewhere("Could not resolve host: proxy.invalid", url));
  CHECK_FALSE(went_elsewhere("Could not resolve host: Server", url));
}

TEST_SUITE_END();
