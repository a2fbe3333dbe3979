#include "net/curl_setup.hpp"

#include <doctest/doctest.h>

#include <string>

using weir::errc;
using weir::net::check_url;

TEST_SUITE_BEGIN("net");

TEST_CASE("check_url: takes absolute http and https URLs") {
  for (const char* url :
       {"http://a/", "https://a", "HTTP://A/b?c#d", "http://user:pw@127.0.0.1:8080/x",
        "http://[::1]:1/", "http://a/with space", "http://a/caf\xc3\xa9",
        "http://localhost:65535/"}) {
    CAPTURE(url);
    CHECK_NOTHROW(check_url(url));
  }
}

TEST_CASE("check_url: refuses everything else, without showing credentials") {
  for (const std::string url :
       {"", "a", "/path", "//host/path", "localhost:80", "ftp://a/", "file:///etc/passwd",
        "http://", "http://a:99999/", "http://a b/", "http://user:secret@", "javascript:x",
        "http://a\r\nb/", "ws://a/"}) {
    CAPTURE(url);
    try {
      check_url(url);
      FAIL_CHECK("accepted");
    } catch (const weir::Error& error) {
      CHECK(error.code() == errc::invalid_argument);
      CHECK(std::string(error.what()).find("secret") == std::string::npos);
      CHECK(error.url().find("secret") == std::string::npos);
    }
  }
  CHECK_THROWS_AS(check_url(std::string("http://a/\0b", 11)), weir::Error);
}

TEST_CASE("is_idempotent: by RFC 9110 section 9.2.2, case-sensitive") {
  for (const char* method : {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
    CHECK(weir::net::is_idempotent(method));
  for (const char* method : {"POST", "PATCH", "get", "", "LOCK"})
    CHECK_FALSE(weir::net::is_idempotent(method));
}

TEST_SUITE_END();
