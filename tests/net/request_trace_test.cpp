#include "net/request_trace.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "driver_fixture.hpp"
#include "support/listener.hpp"
#include "weir/harness/firehose.hpp"

using namespace std::chrono_literals;
using namespace weir;
using namespace weir::test;
using harness::Firehose;

namespace {

/// Keeps every event.
class Collector final : public net::TraceSink {
 public:
  void emit(TraceEvent event) noexcept override {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  std::vector<TraceEvent> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  /// One word for each event of one request.
  std::vector<std::string> kinds(std::uint64_t request = 1) const {
    constexpr const char* kWords[] = {"request",  "connect", "reuse",  "interim", "redirect",
                                      "response", "pause",   "resume", "end",     "failure"};
    std::vector<std::string> words;
    for (const auto& event : events()) {
      if (event.request == request) words.emplace_back(kWords[static_cast<int>(event.kind)]);
    }
    return words;
  }
  TraceEvent last() const { return events().back(); }

 private:
  mutable std::mutex mutex_;
  std::vector<TraceEvent> events_;
};

using Words = std::vector<std::string>;

doctest::String joined(const Words& words) {
  std::string text;
  for (const auto& word : words) text.append(word).append(" ");
  return text.c_str();
}

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("Trace: a plain GET, and a second over the same connection") {
  const Firehose server;
  Collector trace;
  DriverFixture driver({}, &trace);
  for (int round = 0; round < 2; ++round) {
    CHECK(driver.run(get(server.url("/bytes/1000"))).body.size() == 1'000);
    REQUIRE(driver.wait_until_idle());
  }
  CHECK(trace.kinds(1) == Words{"request", "connect", "response", "end"});
  CHECK(trace.kinds(2) == Words{"request", "reuse", "response", "end"});
  const auto events = trace.events();
  for (std::size_t at = 1; at < events.size(); ++at) CHECK(events[at - 1].at <= events[at].at);
  CHECK(events[0].status == 0);
  CHECK(events[2].status == 200);
  CHECK(events[3].status == 200);
  CHECK(events[3].received == 1'000);
  CHECK(events[3].queued <= 1'000);
  CHECK_FALSE(events[3].error);
}

TEST_CASE("Trace: a redirect names the URL that is left, and all that follows the next") {
  const Firehose server;
  Collector trace;
  DriverFixture driver({}, &trace);
  const std::string url = server.url("/redirect/1?to=%2Fbytes%2F10&body=500");
  CHECK(driver.run(get(url)).body.size() == 10);
  REQUIRE(driver.wait_until_idle());
  CHECK(trace.kinds() == Words{"request", "connect", "redirect", "reuse", "response", "end"});
  const auto events = trace.events();
  CHECK(events[2].status == 302);
  CHECK(events[2].url == url);
  CHECK(events[3].status == 0);
  CHECK(events[3].url == server.url("/bytes/10"));
  CHECK(events[4].status == 200);
  CHECK(events[5].received == 10);
}

TEST_CASE("Trace: a stalled body pauses as often as it resumes") {
  const Firehose server;
  Collector trace;
  DriverFixture driver({}, &trace);
  const auto exchange = driver.start(get(server.url("/bytes/3000000")),
                                     {.high = 100'000, .low = 50'000, .unread_high = 100'000});
  REQUIRE(driver.wait_for([&](const ClientStats&) { return trace.kinds().size() == 4; }));
  CHECK(trace.kinds() == Words{"request", "connect", "response", "pause"});
  const TraceEvent pause = trace.last();
  CHECK(pause.received >= 100'000);
  CHECK(pause.queued == pause.received);
  CHECK(DriverFixture::finish(*exchange).body.size() == 3'000'000);
  REQUIRE(driver.wait_until_idle());
  const auto words = trace.kinds();
  INFO(joined(words));
  const auto pauses = std::count(words.begin(), words.end(), "pause");
  CHECK(pauses == static_cast<long>(driver.stats().pauses));
  CHECK(std::count(words.begin(), words.end(), "resume") == pauses);
  CHECK(words.back() == "end");
}

TEST_CASE("Trace: cancelling a paused body is its failure, and the last word") {
  const Firehose server;
  Collector trace;
  DriverFixture driver({}, &trace);
  const auto exchange = driver.start(get(server.url("/bytes/100000000")));
  REQUIRE(driver.wait_for([](const ClientStats& now) { return now.paused == 1; }));
  exchange->cancel();
  REQUIRE(driver.wait_until_idle());
  CHECK(trace.kinds() == Words{"request", "connect", "response", "pause", "failure"});
  CHECK(trace.last().error == errc::aborted);
  CHECK(trace.last().status == 200);
}

TEST_CASE("Trace: what is left of a cancelled body is read without a word") {
  const Firehose server;
  Collector trace;
  DriverFixture driver({}, &trace);
  const auto exchange = driver.start(get(server.url("/bytes/2000?stall_after=1000&stall_ms=20")));
  REQUIRE(exchange->wait_open(flow::Wait::for_ever()));
  exchange->cancel();
  REQUIRE(driver.wait_until_idle());
  CHECK(trace.kinds() == Words{"request", "connect", "response", "failure"});
}

TEST_CASE("Trace: interim responses come one by one, with their status") {
  const Firehose server;
  Collector trace;
  DriverFixture driver({}, &trace);
  CHECK(driver.run(get(server.url("/interim/2"))).status == 200);
  REQUIRE(driver.wait_until_idle());
  CHECK(trace.kinds() == Words{"request", "connect", "interim", "interim", "response", "end"});
  CHECK(trace.events()[2].status == 103);
}

TEST_CASE("Trace: a request that is sent again connects again") {
  const Firehose server;
  Collector trace;
  DriverFixture driver({}, &trace);
  REQUIRE(driver.run(get(server.url("/status/200"))).status == 200);
  CHECK(driver.run(get(server.url("/close?reused=1"))).status == 200);
  REQUIRE(driver.wait_until_idle());
  CHECK(trace.kinds(2) == Words{"request", "reuse", "connect", "response", "end"});
}

TEST_CASE("Trace: failures of every kind are told once, without credentials") {
  Collector trace;
  {
    const Firehose server;
    DriverFixture driver({}, &trace);
    std::string refused = "http://user:secret@127.0.0.1:";
    refused += std::to_string(Listener().port());
    CHECK(driver.run(get(refused)).error == errc::connect_failed);
    auto unknown = get(server.url("/"));
    unknown.version = HttpVersion::http3;
    CHECK(driver.run(unknown).error == errc::unsupported);
    CHECK(driver.run(get(server.url("/bytes/1000?cut_after=10"))).error == errc::truncated);
    REQUIRE(driver.wait_until_idle());
    const auto hanging = driver.start(get(server.url("/hang")));
    REQUIRE(server.wait_for([](const auto& now) { return now.requests == 2; }));
    driver.driver().stop();
    CHECK(DriverFixture::finish(*hanging).error == errc::aborted);
    CHECK(driver.run(get(server.url("/"))).error == errc::aborted);  // nobody took it
  }
  CHECK(trace.kinds(1) == Words{"request", "failure"});
  CHECK(trace.kinds(2) == Words{"request", "failure"});
  CHECK(trace.kinds(3) == Words{"request", "connect", "response", "failure"});
  CHECK(trace.kinds(4) == Words{"request", "connect", "failure"});
  CHECK(trace.kinds(5).empty());
  for (const auto& event : trace.events()) {
    CHECK(event.url.find("127.0.0.1") != std::string::npos);
    CHECK(event.url.find("secret") == std::string::npos);
    CHECK((event.kind == TraceKind::failure) == bool{event.error});
  }
  CHECK(trace.last().error == errc::aborted);
}

TEST_SUITE_END();
