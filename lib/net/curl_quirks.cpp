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
};

}  // namespace

CurlQuirks CurlQuirks::of(unsigned running) noexcept {
  CurlQuirks quirks;
  for (const Row& row : kTable)
    if (running >= row.first && running < row.fixed) row.apply(quirks);
  return quirks;
}

}  // namespace weir::net
