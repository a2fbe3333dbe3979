#include "net/curl_setup.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "base/url_text.hpp"
#include "net/curl_quirks.hpp"

using weir::errc;
using weir::HttpVersion;
using weir::net::check_url;
using weir::net::CurlQuirks;
using weir::net::plan_version;
using weir::net::VersionPlan;

namespace {

constexpr unsigned k7_88 = 0x075801;
constexpr unsigned k8_16 = 0x081000;
constexpr unsigned k8_18 = 0x081200;

VersionPlan plan(HttpVersion version, const char* url, unsigned libcurl, std::size_t body = 0) {
  weir::net::Request request;
  request.version = version;
  request.url = url;
  request.body.resize(body);
  return plan_version(request, CurlQuirks::of(libcurl));
}

bool is_refused(HttpVersion version, unsigned libcurl) {
  try {
    plan(version, "https://a/", libcurl);
    return false;
  } catch (const weir::Error& error) {
    CHECK(error.code() == errc::unsupported);
    return true;
  }
}

}  // namespace

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

TEST_CASE("is_plain_url: what it takes, libcurl takes as it is") {
  std::uint32_t seed = 1;
  const auto below = [&seed](std::size_t limit) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % limit;
  };
  constexpr std::string_view kParts[] = {"a",  "Z", "09", "65535", "65536", ".", "-", ":", ":80",
                                         "//", "/", "?",  "#",     "@",     "%", "[", "]", "::1",
                                         "\\", " ", "~",  "\x7f",  "\xc3",  "\n"};
  std::size_t plain = 0;
  std::string wrong;
  for (int i = 0; i < 100'000; ++i) {
    std::string url = below(8) == 0 ? "https://" : "http://";
    for (std::size_t parts = below(7); parts > 0; --parts) url += kParts[below(std::size(kParts))];
    if (!weir::detail::is_plain_url(url)) continue;
    ++plain;
    const auto parsed = weir::net::made<weir::net::UrlHandle>(curl_url());
    const bool accepted = curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) == CURLUE_OK;
    char* user = nullptr;
    const bool has_user = curl_url_get(parsed.get(), CURLUPART_USER, &user, 0) == CURLUE_OK;
    const weir::net::CurlText owner(user);
    if (!accepted || has_user) wrong += url + '\n';
  }
  CHECK(wrong == "");
  CHECK(plain > 1000);
}

TEST_CASE("plan_version: HTTP/2 goes over TLS, and without being asked for only since 8.18") {
  CHECK(plan(HttpVersion::automatic, "https://a/", k7_88).version == CURL_HTTP_VERSION_1_1);
  CHECK(plan(HttpVersion::automatic, "https://a/", k8_16).version == CURL_HTTP_VERSION_1_1);
  CHECK(plan(HttpVersion::automatic, "https://a/", k8_18).version == CURL_HTTP_VERSION_2TLS);
  CHECK(plan(HttpVersion::automatic, "https://a/", k8_18).may_be_http2);
  CHECK(plan(HttpVersion::http1, "https://a/", k8_18).version == CURL_HTTP_VERSION_1_1);
  CHECK(plan(HttpVersion::http2, "HTTPS://a/", k7_88).may_be_http2);
  const auto plain = plan(HttpVersion::http2, "http://a/", k8_18);
  CHECK(plain.version == CURL_HTTP_VERSION_1_1);
  CHECK_FALSE(plain.may_be_http2);
}

TEST_CASE("plan_version: prior knowledge is HTTP/2 only, and wants its own connection before 8.0") {
  for (const char* url : {"http://a/", "https://a/"}) {
    CAPTURE(url);
    const auto old = plan(HttpVersion::http2_prior_knowledge, url, k7_88, 1'000'000);
    CHECK(old.version == CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
    CHECK(old.must_be_http2);
    CHECK(old.own_connection == (std::string(url) == "http://a/"));
    CHECK_FALSE(plan(HttpVersion::http2_prior_knowledge, url, k8_18).own_connection);
  }
}

TEST_CASE("plan_version: before 8.0 a body larger than the first window goes over HTTP/1.1") {
  const auto version = [](unsigned libcurl, std::size_t body) {
    return plan(HttpVersion::http2, "https://a/", libcurl, body).version;
  };
  CHECK(version(k7_88, 65'535) == CURL_HTTP_VERSION_2TLS);
  CHECK(version(k7_88, 65'536) == CURL_HTTP_VERSION_1_1);
  CHECK(version(0x080000, 65'536) == CURL_HTTP_VERSION_2TLS);
}

TEST_CASE("plan_version: what this libcurl cannot do is unsupported") {
  CHECK_FALSE(is_refused(HttpVersion::automatic, k8_16));
  CHECK(is_refused(HttpVersion::http2, k8_16));
  CHECK(is_refused(HttpVersion::http2_prior_knowledge, k8_16));
  CHECK_FALSE(is_refused(HttpVersion::http2, k8_18));
  CHECK(is_refused(HttpVersion::http3, k8_18));
  CHECK(is_refused(HttpVersion::http3_only, k8_18));
}

TEST_CASE("is_idempotent: by RFC 9110 section 9.2.2, case-sensitive") {
  for (const char* method : {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
    CHECK(weir::net::is_idempotent(method));
  for (const char* method : {"POST", "PATCH", "get", "", "LOCK"})
    CHECK_FALSE(weir::net::is_idempotent(method));
}

TEST_SUITE_END();
