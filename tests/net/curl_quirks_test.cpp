#include "net/curl_quirks.hpp"

#include <doctest/doctest.h>

#include <initializer_list>

using weir::net::CurlQuirks;

TEST_SUITE_BEGIN("net");

TEST_CASE("CurlQuirks: a large receive buffer where transfers share one") {
  CHECK(CurlQuirks::of(0x075801).buffer_size == 40 << 10);   // 7.88.1
  CHECK(CurlQuirks::of(0x0806ff).buffer_size == 40 << 10);   // 8.6
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

TEST_CASE("CurlQuirks: 8.5 must be kept from reading what is paused") {
  CHECK_FALSE(CurlQuirks::of(0x080400).reads_while_paused);
  CHECK(CurlQuirks::of(0x080500).reads_while_paused);
  CHECK_FALSE(CurlQuirks::of(0x080600).reads_while_paused);
}

TEST_CASE("CurlQuirks: HTTP/2 is offered by default where it keeps paused bodies bounded") {
  CHECK_FALSE(CurlQuirks::of(0x075801).http2_by_default);
  CHECK_FALSE(CurlQuirks::of(0x081100).http2_by_default);  // 8.17.0
  CHECK(CurlQuirks::of(0x081200).http2_by_default);        // 8.18.0
}

TEST_CASE("CurlQuirks: HTTP/2 is refused where a pause breaks it, or it is not built in") {
  for (const unsigned good : {0x075801U, 0x080201U, 0x080400U, 0x080e01U, 0x081100U, 0x081200U}) {
    CAPTURE(good);
    CHECK(CurlQuirks::of(good).http2_refusal == nullptr);
    CHECK(CurlQuirks::of(good, false).http2_refusal != nullptr);
  }
  for (const unsigned bad : {0x080300U, 0x081000U, 0x081001U}) {
    CAPTURE(bad);
    CHECK(CurlQuirks::of(bad).http2_refusal != nullptr);
  }
}

TEST_CASE("CurlQuirks: 8.16 remembers a refused lookup as one that failed") {
  CHECK_FALSE(CurlQuirks::of(0x080f00).remembers_refused_lookups);
  CHECK(CurlQuirks::of(0x081000).remembers_refused_lookups);
  CHECK_FALSE(CurlQuirks::of(0x081100).remembers_refused_lookups);
}

TEST_CASE("CurlQuirks: HTTP/2 needs help before 8.0 and 8.1") {
  const auto old = CurlQuirks::of(0x075801);
  CHECK(old.h2c_only_once);
  CHECK(old.http2_upload_spins);
  CHECK(old.http2_end_unnoticed);
  const auto newer = CurlQuirks::of(0x080000);
  CHECK_FALSE(newer.h2c_only_once);
  CHECK_FALSE(newer.http2_upload_spins);
  CHECK(newer.http2_end_unnoticed);
  CHECK_FALSE(CurlQuirks::of(0x080100).http2_end_unnoticed);
}

TEST_SUITE_END();
