#include <doctest/doctest.h>

#include <atomic>
#include <new>
#include <string>

#include "net/driver_fixture.hpp"
#include "support/failing_new.hpp"
#include "weir/harness/firehose.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

namespace {

/// Takes no memory itself.
class CountingSink final : public net::TraceSink {
 public:
  void emit(TraceEvent event) noexcept override {
    if (event.kind == TraceKind::request) ++requests;
    if (event.kind == TraceKind::end || event.kind == TraceKind::failure) ++ended;
  }
  std::atomic<int> requests{0};
  std::atomic<int> ended{0};
};

/// Runs `what` with the first, the second, ... allocation of the I/O thread failing, until none is
/// left to fail. Returns how many did. Each time the outcome is as without the failure, or
/// std::bad_alloc, or (from libcurl's frames, when opening a socket) resource_exhausted.
int fail_each_io_allocation(DriverFixture& driver, const net::Request& what, bool ends_well) {
  for (int n = 0;; ++n) {
    CAPTURE(n);
    Outcome outcome;
    bool out_of_memory = false;
    io_allocations_left = n;
    const auto exchange = driver.start(what);
    try {
      outcome = DriverFixture::finish(*exchange);
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
    }
    REQUIRE(driver.wait_until_idle());
    const bool failed = io_allocations_left.exchange(-1) < 0;
    out_of_memory = out_of_memory || outcome.error == errc::resource_exhausted;
    CAPTURE(outcome.detail);
    if (!out_of_memory) CHECK(!outcome.error == ends_well);
    if (!failed) {
      CHECK_FALSE(out_of_memory);
      return n;
    }
    REQUIRE(n < 1000);
  }
}

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("CurlDriver: an allocation that fails on the I/O thread fails one exchange at most" *
          doctest::skip(!kCanFailNew)) {
  harness::Firehose server({.http2 = true});
  CountingSink trace;
  DriverFixture driver({}, &trace);
  net::Request late = get(server.url("/hang"));
  late.headers_timeout = 20ms;
  net::Request over_h2 = get(server.url("/bytes/300000"));
  over_h2.version = HttpVersion::http2_prior_knowledge;
  const net::Request rows[] = {
      over_h2,
      get(server.url("/bytes/300000")),
      get(server.url("/headers?count=20&size=100")),
      post(server.url("/echo"), std::string(100'000, 'x')),
      get(server.url("/redirect/2?body=500&to=%2Fbytes%2F1000")),
      post(server.url("/redirect/1?status=307&to=%2Fecho"), std::string(1'000, 'x')),
  };
  for (const auto& row : rows) {
    CAPTURE(row.url);
    CHECK(fail_each_io_allocation(driver, row, true) > 3);
  }
  CHECK(fail_each_io_allocation(driver, get(server.url("/bytes/300000?cut_after=100000")), false) >
        3);
  CHECK(fail_each_io_allocation(driver, get(server.url("/close")), false) > 0);
  CHECK(fail_each_io_allocation(driver, late, false) > 0);

  CHECK(driver.run(get(server.url("/bytes/1000"))).body.size() == 1000);
  const ClientStats stats = driver.stats();
  CHECK(stats.pauses == stats.resumes + stats.cancelled_while_paused + stats.paused);
  CHECK(stats.queue_memory == 0);
  CHECK(trace.requests == static_cast<int>(stats.requests));
  CHECK(trace.ended == trace.requests);
}

TEST_SUITE_END();
