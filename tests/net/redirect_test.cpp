#include "net/redirect.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>

#include "weir/error.hpp"

using weir::errc;
using weir::Headers;
using weir::Redirect;
using weir::net::Head;
using weir::net::Hop;
using weir::net::next_hop;
using weir::net::Request;

namespace {

Request request(std::string method = "GET", std::string url = "http://a/b") {
  Request request;
  request.method = std::move(method);
  request.url = std::move(url);
  return request;
}

Request with_body(std::string method) {
  Request with = request(std::move(method));
  with.has_body = true;
  with.body = "text";
  return with;
}

Head head(int status, const std::string& location = "/c") {
  Head head;
  head.status = status;
  head.headers.append("Location", location);
  return head;
}

/// The Error that following throws.
std::optional<weir::Error> refusal(const Request& request, const Head& head) {
  try {
    next_hop(request, head);
  } catch (const weir::Error& error) {
    return error;
  }
  return std::nullopt;
}

void check_refused(const Request& request, const Head& head, errc code, const char* detail) {
  const auto error = refusal(request, head);
  REQUIRE(error);
  CHECK(error->code() == code);
  CHECK(error->detail().find(detail) != std::string::npos);
}

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("next_hop: five statuses lead on, if they say where") {
  for (const int status : {200, 201, 204, 300, 304, 305, 306, 309, 399, 404, 500}) {
    CAPTURE(status);
    CHECK_FALSE(next_hop(request(), head(status)));
  }
  for (const int status : {301, 302, 303, 307, 308}) {
    CAPTURE(status);
    const auto hop = next_hop(request(), head(status));
    REQUIRE(hop);
    CHECK(hop->url == "http://a/c");
    Head nowhere;
    nowhere.status = status;
    CHECK_FALSE(next_hop(request(), nowhere));
  }
}

TEST_CASE("next_hop: methods change as in fetch") {
  struct Row {
    int status;
    const char* method;
    const char* becomes;
  };
  constexpr Row kRows[] = {
      {301, "GET", "GET"},    {301, "HEAD", "HEAD"},     {301, "POST", "GET"},
      {301, "PUT", "PUT"},    {301, "DELETE", "DELETE"}, {301, "post", "post"},
      {302, "GET", "GET"},    {302, "HEAD", "HEAD"},     {302, "POST", "GET"},
      {302, "PUT", "PUT"},    {302, "PATCH", "PATCH"},   {303, "GET", "GET"},
      {303, "HEAD", "HEAD"},  {303, "POST", "GET"},      {303, "PUT", "GET"},
      {303, "DELETE", "GET"}, {303, "head", "GET"},      {303, "PROPFIND", "GET"},
      {307, "POST", "POST"},  {307, "HEAD", "HEAD"},     {307, "DELETE", "DELETE"},
      {308, "POST", "POST"},  {308, "GET", "GET"},       {308, "PROPFIND", "PROPFIND"}};
  for (const Row& row : kRows) {
    CAPTURE(row.status);
    CAPTURE(row.method);
    const auto hop = next_hop(request(row.method), head(row.status));
    REQUIRE(hop);
    CHECK(hop->method == row.becomes);
    CHECK(hop->keeps_body == (std::string(row.method) == row.becomes));
  }
}

TEST_CASE("next_hop: the body's fields go with the body") {
  Request post = with_body("POST");
  post.headers = {{"Content-Type", "text/plain"},
                  {"content-encoding", "gzip"},
                  {"Content-Language", "en"},
                  {"Content-Location", "/x"},
                  {"Digest", "x"},
                  {"Last-Modified", "x"},
                  {"Expect", "100-continue"},
                  {"Accept", "*/*"},
                  {"X-Other", "1"}};
  const Headers others{{"Accept", "*/*"}, {"X-Other", "1"}};
  CHECK(next_hop(post, head(307))->headers == post.headers);
  const auto hop = next_hop(post, head(302));
  CHECK(hop->headers == others);
  take(post, *hop);
  CHECK(post.method == "GET");
  CHECK_FALSE(post.has_body);
  CHECK(post.body.empty());
  CHECK(post.headers == others);
}

TEST_CASE("next_hop: credentials and the Host stay within the origin") {
  Request with = request();
  with.headers = {{"authorization", "Basic eA=="},       {"Cookie", "a=b"},   {"Cookie", "c=d"},
                  {"Proxy-Authorization", "Basic eA=="}, {"Host", "virtual"}, {"X-Other", "1"}};
  CHECK(next_hop(with, head(302, "/c"))->headers == with.headers);
  CHECK(next_hop(with, head(302, "http://a:80/c"))->headers == with.headers);
  const Headers others{{"X-Other", "1"}};
  for (const char* location : {"https://a/", "http://a:81/", "http://b/", "//a.b/"}) {
    CAPTURE(location);
    CHECK(next_hop(with, head(302, location))->headers == others);
  }
}

TEST_CASE("next_hop: a body is sent again, or it is not_replayable") {
  Request once = with_body("PUT");
  CHECK(next_hop(once, head(307))->keeps_body);
  take(once, *next_hop(once, head(307)));
  CHECK(once.body == "text");
  once.replayable = false;
  for (const int status : {301, 302, 307, 308}) {
    CAPTURE(status);
    check_refused(once, head(status), errc::not_replayable, "body");
  }
  CHECK_FALSE(next_hop(once, head(303))->keeps_body);
}

TEST_CASE("next_hop: counts") {
  Request often = request();
  often.max_redirects = 2;
  for (const int hops : {1, 2}) {
    const auto hop = next_hop(often, head(302));
    REQUIRE(hop);
    take(often, *hop);
    CHECK(often.redirects == hops);
  }
  check_refused(often, head(302), errc::too_many_redirects, "max_redirects (2)");
  CHECK_FALSE(next_hop(often, head(200)));
  Request never = request();
  never.max_redirects = 0;
  check_refused(never, head(302), errc::too_many_redirects, "max_redirects (0)");
}

TEST_CASE("next_hop: manual leaves them alone, error refuses them") {
  Request manual = request();
  manual.redirect = Redirect::manual;
  CHECK_FALSE(next_hop(manual, head(302, "file:///x")));
  Request error = request();
  error.redirect = Redirect::error;
  CHECK_FALSE(next_hop(error, head(200)));
  check_refused(error, head(302), errc::too_many_redirects, "Redirect::error");
  Head nowhere;
  nowhere.status = 302;
  check_refused(error, nowhere, errc::too_many_redirects, "Redirect::error");
}

TEST_CASE("next_hop: not to everywhere") {
  const Request secure = request("GET", "https://a/b");
  check_refused(secure, head(302, "http://a/c"), errc::invalid_argument, "https to http");
  CHECK(next_hop(secure, head(302, "//b/c"))->url == "https://b/c");
  CHECK(next_hop(request(), head(302, "https://a/c"))->url == "https://a/c");
  check_refused(request(), head(302, "file:///x"), errc::invalid_argument, "Location");
  check_refused(request(), head(302, "ftp://a/x"), errc::invalid_argument, "Location");
  check_refused(request(), head(302, "http://u:secret@/"), errc::invalid_argument, "Location");
  CHECK(refusal(request(), head(302, "http://u:secret@/"))->detail().find("secret") ==
        std::string::npos);
}

TEST_CASE("next_hop: of several Locations all must be the same") {
  Head several = head(302, "/c");
  several.headers.append("location", "/c");
  CHECK(next_hop(request(), several)->url == "http://a/c");
  several.headers.append("location", "/d");
  check_refused(request(), several, errc::protocol_error, "Location");
}

TEST_SUITE_END();
