#include "net/curl_quirks.hpp"

namespace weir::net {

namespace {

constexpr unsigned version(unsigned major, unsigned minor, unsigned patch = 0) noexcept {
  return major << 16 | minor << 8 | patch;
}

struct Row {
  unsigned first;  // the first release it applies to
  unsigned fixed;  // the first it no longer applies to
  void (*apply)(CurlQuirks&);
};

constexpr unsigned kNever = ~0U;

constexpr Row kTable[] = {
    // One receive buffer for the whole multi since 8.7.0 (multi.c: Curl_multi_xfer_buf_borrow).
    // Heap per transfer at 256K: 267 KB in 7.88.1, 10.8 KB in 8.14.1.
    {version(8, 7), kNever, [](CurlQuirks& quirks) { quirks.buffer_size = 256L << 10; }},
    // 7.88.1 transfer.c: Curl_ssl_initsessions per easy handle; 8.14.1 keeps the cache in the
    // multi.
    {0, version(8, 12), [](CurlQuirks& quirks) { quirks.share_tls_sessions = true; }},
    // 7.88.1 url.c: extract_if_dead asks only whether the peer has closed; 8.0.0 looks for pending
    // input.
    {0, version(8, 0), [](CurlQuirks& quirks) { quirks.reuses_dirty = true; }},
    // 8.5.0 cf-socket.c: cf_socket_adjust_pollset always asks for input; fixed by 8e2d7b9fa4.
    // Measured: HTTP/1.1 buffered 64 MiB, then failed with CURLE_OUT_OF_MEMORY.
    {version(8, 5), version(8, 6), [](CurlQuirks& quirks) { quirks.reads_while_paused = true; }},
    // 8.18.0, 24b36fdd15 (rate limits redesigned): a paused stream is granted no more window.
    // Before, each resume granted 10 to 32 MiB anew where streams shared a connection.
    {version(8, 18), kNever, [](CurlQuirks& quirks) { quirks.http2_by_default = true; }},
    // curl#11982: a transfer that is paused is closed; fixed by 6b9a591bf7.
    {version(8, 3), version(8, 4),
     [](CurlQuirks& quirks) { quirks.http2_refusal = "libcurl 8.3 loses paused HTTP/2 bodies"; }},
    // curl#19334: a pause fails the transfer (CURLE_WRITE_ERROR); fixed by 7e91f24c73.
    {version(8, 16), version(8, 17),
     [](CurlQuirks& quirks) { quirks.http2_refusal = "libcurl 8.16 fails paused HTTP/2 bodies"; }},
    // 7.88.1 http.c: Curl_http switches to HTTP/2 on a connection that has it already, and fails
    // with CURLE_HTTP2; fixed by cbe9d82c22.
    {0, version(8, 0), [](CurlQuirks& quirks) { quirks.h2c_only_once = true; }},
    // 8.16.0 hostip.c: store_negative_resolve, also of what the resolver start callback refuses;
    // 8.17.0 leaves that out (keep_negative).
    {version(8, 16), version(8, 17),
     [](CurlQuirks& quirks) { quirks.remembers_refused_lookups = true; }},
    // curl#10618, 1.6 million turns of the loop in a second; fixed by d9ccc75b00.
    {0, version(8, 0), [](CurlQuirks& quirks) { quirks.http2_upload_spins = true; }},
    // 7.88.1 http2.c: on_stream_close, when it is sending that closes the stream, has nothing read
    // again; 8.1.0 always does.
    {0, version(8, 1), [](CurlQuirks& quirks) { quirks.http2_end_unnoticed = true; }},
};

}  // namespace

CurlQuirks CurlQuirks::of(unsigned running, bool has_http2) noexcept {
  CurlQuirks quirks;
  for (const Row& row : kTable)
    if (running >= row.first && running < row.fixed) row.apply(quirks);
  if (!has_http2) quirks.http2_refusal = "this libcurl is built without HTTP/2";
  return quirks;
}

}  // namespace weir::net
