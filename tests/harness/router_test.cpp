#include "harness/router.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace weir::harness;

namespace {

ResponsePlan plan(std::string_view target, bool reused = false, bool http2 = false) {
  Request request;
  const std::string head = "GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n\r\n";
  REQUIRE_FALSE(parse_head(head, request));
  request.http2 = http2;
  const StatsBoard stats;
  return plan_for(request, stats, reused);
}

std::string field(const ResponsePlan& plan, std::string_view name) {
  const auto found = std::find_if(plan.fields.begin(), plan.fields.end(),
                                  [&](const auto& one) { return one.first == name; });
  return found == plan.fields.end() ? "(none)" : found->second;
}

}  // namespace

TEST_SUITE("harness") {
  TEST_CASE("router: /bytes says everything in its query") {
    const ResponsePlan plain = plan("/bytes/9223372036854775808");
    CHECK(plain.body.length == std::uint64_t{1} << 63);
    CHECK(plain.body.source == BodySource::pattern);
    CHECK(field(plain, "Content-Type") == "application/octet-stream");

    const ResponsePlan rich = plan(
        "/bytes/7?seed=3&chunked=1&rate=10&write=2&stall_after=1&stall_ms=5&rst_after=4"
        "&status=206&content_type=text%2Fplain&tag=whatever");
    CHECK(rich.status == 206);
    CHECK(rich.body.seed == 3);
    CHECK(rich.body.chunked);
    CHECK(rich.body.rate == 10);
    CHECK(rich.body.write_size == 2);
    CHECK(rich.body.stall_after == 1);
    CHECK(rich.body.stall == std::chrono::milliseconds(5));
    CHECK(rich.body.cut == Cut::rst);
    CHECK(rich.body.cut_after == 4);
    CHECK(field(rich, "Content-Type") == "text/plain");
    CHECK(plan("/bytes/7?cut_after=2&rst_after=3").body.cut == Cut::fin);
    CHECK(plan("/bytes/7?cut_after=3&rst_after=2").body.cut == Cut::rst);
  }

  TEST_CASE("router: /bytes has ends that only HTTP/2 knows") {
    const auto http2 = [](const std::string& query, bool reused = false) {
      return plan("/bytes/7?" + query, reused, true);
    };
    CHECK(http2("reset=8").instead == Instead::reset);
    CHECK(http2("reset=8").body.reset_code == 8);
    CHECK(http2("reset=8&reset_after=3").instead == Instead::nothing);
    CHECK(http2("reset=8&reset_after=3").body.cut == Cut::rst);
    CHECK(http2("reset=8&reset_after=3").body.cut_after == 3);
    CHECK(http2("rst_after=3").body.reset_code == 2);
    CHECK(http2("goaway=refuse").instead == Instead::refuse);
    CHECK(http2("goaway=refuse&reused=1").instead == Instead::nothing);
    CHECK(http2("goaway=refuse&reused=1", true).instead == Instead::refuse);
    CHECK(http2("goaway_after=4").goaway_after == 4);
    for (const char* query :
         {"reset_after=1", "reset=4294967296", "goaway=now", "reset=1&reset_after=1&cut_after=2"}) {
      CAPTURE(query);
      CHECK(http2(query).status == 400);
    }
    for (const char* query : {"reset=8", "goaway=refuse", "goaway_after=4"}) {
      CAPTURE(query);
      CHECK(plan("/bytes/7?" + std::string(query)).status == 400);
    }
  }

  TEST_CASE("router: /redirect counts down and then goes where it was told") {
    const ResponsePlan first = plan("/redirect/2?to=%2Fstatus%2F204&body=9&status=307");
    CHECK(first.status == 307);
    CHECK(field(first, "Location") == "/redirect/1?to=%2Fstatus%2F204&body=9&status=307");
    CHECK(first.body.length == 9);
    CHECK(field(plan("/redirect/1?to=%2Fstatus%2F204"), "Location") == "/status/204");
    CHECK(field(plan("/redirect/1"), "Location") == "/bytes/0");
    CHECK(plan("/redirect/1").status == 302);
  }

  TEST_CASE("router: the other routes") {
    CHECK(plan("/status/503").status == 503);
    CHECK(plan("/interim/3").interim == 3);
    const ResponsePlan headers = plan("/headers?count=3&size=5");
    CHECK(field(headers, "X-Weir-2") == "xxxxx");
    CHECK(field(headers, "X-Weir-3") == "(none)");
    CHECK(plan("/drip_headers?ms=7").drip == std::chrono::milliseconds(7));
    CHECK(plan("/headers_echo").body.text == "GET /headers_echo HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(plan("/hang").instead == Instead::hang);
    CHECK(plan("/close").instead == Instead::close);
    CHECK(plan("/close?before=blank_line&how=rst").instead == Instead::close_head);
    CHECK(plan("/close?how=rst").cut == Cut::rst);
    CHECK(plan("/close?reused=1").status == 200);
    CHECK(plan("/close?reused=1").instead == Instead::nothing);
    CHECK(plan("/close?reused=1", true).instead == Instead::close);
    CHECK(plan("/raw?text=a%00b").body.text == std::string("a\0b", 3));
    CHECK(plan("/echo?rate=5").body.rate == 5);
    CHECK(plan("/stats").body.text.front() == '{');
    CHECK(plan("/sse?events=5").body.events.count == 5);
    CHECK(plan("/sse?events=5&close_after=2").body.events.count == 2);
    CHECK(plan("/sse?events=0").body.events.then == EventsPlan::Then::heartbeats);
    CHECK(plan("/sse?swallow_fin=1").body.events.then == EventsPlan::Then::silence);
    CHECK(plan("/chat").status == 405);
  }

  TEST_CASE("router: an unknown path is 404") {
    for (const char* target : {"/", "/byte/1", "/hang/1", "/stats/", "//bytes/1", "/BYTES/1"}) {
      CAPTURE(target);
      CHECK(plan(target).status == 404);
    }
  }

  TEST_CASE("router: a bad parameter is 400 with one line") {
    for (const char* target : {"/bytes",
                               "/bytes/",
                               "/bytes/x",
                               "/bytes/-1",
                               "/bytes/9223372036854775809",
                               "/bytes/1/2",
                               "/bytes/1?seed=x",
                               "/bytes/1?sed=1",
                               "/bytes/1?rate=0",
                               "/bytes/1?write=0",
                               "/bytes/1?status=199",
                               "/bytes/1?status=600",
                               "/bytes/1?stall_ms=5",
                               "/bytes/1?chunked=1&no_length=1",
                               "/bytes/1?content_type=a%0ab",
                               "/bytes/1?chunked=yes",
                               "/redirect/0",
                               "/redirect/1?to=%0d",
                               "/redirect/1?status=200",
                               "/status/199",
                               "/status/1000",
                               "/headers?count=16777216&size=1",
                               "/close?how=slowly",
                               "/hang?ms=1",
                               "/drip_headers?ms=0",
                               "/interim/10001",
                               "/sse?size=67108865",
                               "/sse?burst=2",
                               "/sse?interval_ms=-1"}) {
      CAPTURE(target);
      const ResponsePlan refused = plan(target);
      CHECK(refused.status == 400);
      CHECK(std::count(refused.body.text.begin(), refused.body.text.end(), '\n') == 1);
      CHECK(refused.body.text.size() > 10);
    }
    CHECK(plan("/redirect/0").body.text == "a redirect needs at least one hop\n");
  }
}
