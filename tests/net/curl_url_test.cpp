#include "net/curl_url.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "weir/error.hpp"

using weir::errc;
using weir::net::resolve_url;
using weir::net::Target;

namespace {

struct Row {
  const char* base;
  std::string_view reference;
  const char* target;  // null: refused
  bool same_origin = true;
};

void check(const Row& row) {
  CAPTURE(row.base);
  CAPTURE(row.reference);
  std::optional<errc> code;
  Target target;
  try {
    target = resolve_url(row.base, row.reference);
  } catch (const weir::Error& error) {
    code = static_cast<errc>(error.code().value());
  }
  if (row.target == nullptr) {
    CHECK(code == errc::invalid_argument);
    return;
  }
  REQUIRE_FALSE(code);
  CHECK(target.url == row.target);
  CHECK(target.same_origin == row.same_origin);
}

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("resolve_url: follows the examples of RFC 3986 section 5.4") {
  constexpr Row kRows[] = {{"", "g", "http://a/b/c/g"},
                           {"", "./g", "http://a/b/c/g"},
                           {"", "g/", "http://a/b/c/g/"},
                           {"", "/g", "http://a/g"},
                           {"", "//g", "http://g/", false},
                           {"", "?y", "http://a/b/c/d;p?y"},
                           {"", "g?y", "http://a/b/c/g?y"},
                           {"", "#s", "http://a/b/c/d;p?q#s"},
                           {"", "g#s", "http://a/b/c/g#s"},
                           {"", "g?y#s", "http://a/b/c/g?y#s"},
                           {"", ";x", "http://a/b/c/;x"},
                           {"", "g;x", "http://a/b/c/g;x"},
                           {"", "g;x?y#s", "http://a/b/c/g;x?y#s"},
                           {"", "", "http://a/b/c/d;p?q"},
                           {"", ".", "http://a/b/c/"},
                           {"", "./", "http://a/b/c/"},
                           {"", "..", "http://a/b/"},
                           {"", "../", "http://a/b/"},
                           {"", "../g", "http://a/b/g"},
                           {"", "../..", "http://a/"},
                           {"", "../../", "http://a/"},
                           {"", "../../g", "http://a/g"},
                           {"", "../../../g", "http://a/g"},
                           {"", "/./g", "http://a/g"},
                           {"", "/../g", "http://a/g"},
                           {"", "g.", "http://a/b/c/g."},
                           {"", "..g", "http://a/b/c/..g"},
                           {"", "./../g", "http://a/b/g"},
                           {"", "./g/.", "http://a/b/c/g/"},
                           {"", "g/./h", "http://a/b/c/g/h"},
                           {"", "g/../h", "http://a/b/c/h"},
                           {"", "g;x=1/./y", "http://a/b/c/g;x=1/y"},
                           {"", "g;x=1/../y", "http://a/b/c/y"},
                           {"", "g?y/./x", "http://a/b/c/g?y/./x"},
                           {"", "g?y/../x", "http://a/b/c/g?y/../x"},
                           {"", "g#s/./x", "http://a/b/c/g#s/./x"},
                           {"", "g#s/../x", "http://a/b/c/g#s/../x"}};
  for (Row row : kRows) {
    row.base = "http://a/b/c/d;p?q";
    check(row);
  }
}

TEST_CASE("resolve_url: slashes and questions in a query or a fragment are not the path's") {
  check({"http://a/b?c/d", "e", "http://a/e"});
  check({"http://a?c/d", "e", "http://a/e"});
  check({"http://a", "e", "http://a/e"});
  check({"http://a", "?e", "http://a/?e"});
  check({"http://a/b?c#d/e?f", "?g#h", "http://a/b?g#h"});
  check({"http://a/b#c/d", "e#f", "http://a/e#f"});
  check({"http://a/b/c", "d?u=http://x/y", "http://a/b/d?u=http://x/y"});
  check({"http://a/b/c", "d:e/f?x", nullptr});  // a scheme
  check({"http://a/b/c", "./d:e", "http://a/b/d:e"});
  check({"http://a/b/c", "1:e", "http://a/b/1:e"});
}

TEST_CASE("resolve_url: a fragment is inherited unless there is another") {
  check({"http://a/b#f", "/c", "http://a/c#f"});
  check({"http://a/b#f", "http://x/c", "http://x/c#f", false});
  check({"http://a/b#f", "/c#g", "http://a/c#g"});
  check({"http://a/b#f", "", "http://a/b#f"});
  check({"http://a/b#f", "#g", "http://a/b#g"});
  check({"http://a/b", "/c", "http://a/c"});
  CHECK(resolve_url("http://a/b#f", "/c#").url.find('f') == std::string::npos);
}

TEST_CASE("resolve_url: scheme, host and port make the origin") {
  check({"http://a/b", "http://a/c", "http://a/c"});
  check({"http://a/b", "http://A:80/c", "http://A:80/c"});
  check({"https://a:443/b", "https://a/c", "https://a/c"});
  check({"http://a/b", "http://a:81/c", "http://a:81/c", false});
  check({"http://a/b", "https://a/c", "https://a/c", false});
  check({"http://a/b", "http://a.b/c", "http://a.b/c", false});
  check({"http://a/b", "//a/c", "http://a/c"});
  check({"http://[::1]:8/b", "//[::1]:8/c", "http://[::1]:8/c"});
}

TEST_CASE("resolve_url: userinfo stays within the origin") {
  check({"http://u:p@a/b", "c", "http://u:p@a/c"});
  check({"http://u:p@a/b", "//a/c", "http://u:p@a/c"});
  check({"http://u:p@a/b", "http://a/c", "http://u:p@a/c"});
  check({"http://u%40x:p%2f@a/b", "http://a/c", "http://u%40x:p%2f@a/c"});
  check({"http://u:p@a/b", "http://v:q@a/c", "http://v:q@a/c"});
  check({"http://u:p@a/b", "http://v@a/c", "http://v@a/c"});
  check({"http://u:p@a/b", "http://x/c", "http://x/c", false});
  check({"http://u:p@a/b", "http://a:81/c", "http://a:81/c", false});
  check({"http://u:p@a/b", "https://a/c", "https://a/c", false});
  check({"http://a/b", "http://v:q@x/c", "http://x/c", false});
}

TEST_CASE("resolve_url: what is no http or https URL is refused") {
  for (const std::string_view reference :
       {"file:///etc/passwd", "FILE:/etc/passwd", "ftp://a/b", "mailto:a@b", "javascript:alert(1)",
        "data:,x", "about:blank", "http://", "https:///", "//", "http://a:99999/", "http://a b/",
        "/a\x01", "gopher://a/", "ws://a/"}) {
    check({"http://a/b", reference, nullptr});
  }
  check({"http://a/b", std::string_view("/a\0b", 4), nullptr});
}

TEST_CASE("resolve_url: spaces and what is not ASCII are encoded") {
  const std::string url = resolve_url("http://a/b", "/c d\xc3\xa9?e f").url;
  CHECK(url.starts_with("http://a/c%20d%"));
  CHECK(std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < '\x7f'; }));
  CHECK(resolve_url("http://a/x y", "z").url == "http://a/z");
}

TEST_CASE("resolve_url: tells where https is left") {
  CHECK(resolve_url("https://a/", "http://a/").leaves_https);
  CHECK(resolve_url("HTTPS://a/", "HTTP://b/").leaves_https);
  CHECK_FALSE(resolve_url("https://a/", "//b/").leaves_https);
  CHECK_FALSE(resolve_url("http://a/", "https://a/").leaves_https);
  CHECK_FALSE(resolve_url("http://a/", "http://b/").leaves_https);
}

TEST_CASE("origin_of: scheme, host and port, in lower case, and nothing else") {
  using weir::net::origin_of;
  CHECK(origin_of("http://a") == "http://a:80");
  CHECK(origin_of("HTTPS://user:word@Host.Example/path?x#y") == "https://host.example:443");
  CHECK(origin_of("http://[::1]:8080/") == "http://[::1]:8080");
}

TEST_SUITE_END();
