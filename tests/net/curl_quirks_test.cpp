#include "net/curl_quirks.hpp"

#include <doctest/doctest.h>

using weir::net::CurlQuirks;

TEST_SUITE_BEGIN("net");

TEST_CASE("CurlQuirks: a large receive buffer where transfers share one") {
  CHECK(CurlQuirks::of(0x075801).buffer_size == 48 << 10);   // 7.88.1
  CHECK(CurlQuirks::of(0x0806ff).buffer_size == 48 << 10);   // 8.6
  CHECK(CurlQuirks::of(0x080700).buffer_size == 256 << 10);  // 8.7.0
  CHECK(CurlQuirks::of(0x081600).buffer_size == 256 << 10);  // 8.22.0
}

TEST_CASE("CurlQuirks: TLS sessions are shared by hand before 8.12") {
  CHECK(CurlQuirks::of(0x075801).share_tls_sessions);
  CHECK(CurlQuirks::of(0x080b01).share_tls_sessions);
  CHECK_FALSE(CurlQuirks::of(0x080c00).share_tls_sessions);
}

TEST_CASE("CurlQuirks: idle connections are checked for stray bytes before 8.0") {
  CHECK(CurlQuirks::of(0x075801).reuses_dirty);
  CHECK_FALSE(CurlQuirks::of(0x080000).reuses_dirty);
}

TEST_SUITE_END();
