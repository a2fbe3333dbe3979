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
      {CURLE_WEIRD_SERVER_REPLY, "odd", kInHead, errc::protocol_error, false},
      {CURLE_UNSUPPORTED_PROTOCOL, "Received HTTP/0.9 when not allowed", kNothing,
       errc::protocol_error, false},
      {CURLE_HTTP2_STREAM, "HTTP/2 stream 1 was not closed cleanly: INTERNAL_ERROR (err 2)",
       kNothing, errc::connection_lost, true},
      {CURLE_HTTP2_STREAM, "HTTP/2 stream 1 was not closed cleanly: CANCEL (err 8)", kInBody,
       errc::truncated, false},
      {CURLE_HTTP2_STREAM, "HTTP/2 stream 1 was not closed cleanly: PROTOCOL_ERROR (err 1)",
       kNothing, errc::protocol_error, false},
      {CURLE_HTTP2_STREAM, "HTTP/2 stream 1 was closed cleanly, but before getting  all", kNothing,
       errc::protocol_error, false},
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

TEST_SUITE_END();
