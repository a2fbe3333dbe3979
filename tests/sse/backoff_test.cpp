#include "sse/backoff.hpp"

#include <doctest/doctest.h>

#include <chrono>

using namespace weir;
using namespace std::chrono_literals;
using sse::Backoff;

namespace {

constexpr detail::TimePoint kStart{1h};

}  // namespace

TEST_SUITE_BEGIN("sse");

TEST_CASE("Backoff: doubles up to max_retry, and no further") {
  Backoff backoff(3s, 30s);
  for (const auto wait : {3s, 6s, 12s, 24s, 30s, 30s}) {
    CHECK(backoff.lost(kStart, {}, 0) == wait);
  }
}

TEST_CASE("Backoff: the longest times are long, and do not overflow") {
  constexpr auto kMost = std::chrono::milliseconds::max();
  for (const auto retry : {kMost, kMost / 2 + 1s}) {
    Backoff backoff(retry, kMost);
    for (int i = 0; i < 3; ++i) {
      const auto due = kStart + backoff.lost(kStart, {}, 0.999);
      CHECK(due >= kStart + 24h * 365);
    }
  }
}

TEST_CASE("Backoff: chance adds up to a half, and takes nothing away") {
  Backoff backoff(4s, 30s);
  CHECK(backoff.lost(kStart, {}, 0.5) == 5s);
  CHECK(backoff.lost(kStart, {}, 0.999) == 11'996ms);
}

TEST_CASE("Backoff: only a connection that was up for 60 s begins anew") {
  Backoff backoff(1s, 30s);
  CHECK(backoff.lost(kStart, {}, 0) == 1s);
  backoff.connected(kStart);
  CHECK(backoff.lost(kStart + 59s, {}, 0) == 2s);
  CHECK(backoff.lost(kStart + 10min, {}, 0) == 4s);  // it was not up in between
  backoff.connected(kStart);
  CHECK(backoff.lost(kStart + 60s, {}, 0) == 1s);
}

TEST_CASE("Backoff: what the server asks for replaces ours, within limits") {
  Backoff backoff(1s, 30s);
  CHECK(backoff.lost(kStart, {.retry = 0ms}, 0) == 100ms);
  CHECK(backoff.lost(kStart, {.retry = 10s}, 0) == 20s);
  CHECK(backoff.lost(kStart, {.retry = 10s}, 0) == 30s);
  CHECK(backoff.lost(kStart, {.retry = 1h}, 0) == 5min);
}

TEST_CASE("Backoff: Retry-After is waited for, however short ours is") {
  Backoff backoff(1s, 8s);
  CHECK(backoff.lost(kStart, {.retry_after = 20s}, 0) == 20s);
  CHECK(backoff.lost(kStart, {.retry_after = 1s}, 0) == 2s);
  CHECK(backoff.lost(kStart, {.retry_after = 1h}, 0) == 5min);
}

TEST_CASE("retry_after: takes seconds and dates") {
  const std::chrono::sys_seconds now{1'445'412'476s};  // Wed, 21 Oct 2015 07:27:56 GMT
  CHECK(sse::retry_after("120", now) == 2min);
  CHECK(sse::retry_after(" 0 ", now) == 0ms);
  CHECK(sse::retry_after("99999999999999999999", now) == 24h);
  CHECK(sse::retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now) == 4s);
  CHECK(sse::retry_after("Wed, 21 Oct 2015 07:00:00 GMT", now) == 0ms);
  for (const char* bad : {"", "soon", "-1", "1.5", "Wed, 41 Oct 2015 07:28:00 GMT"}) {
    CAPTURE(bad);
    CHECK_FALSE(sse::retry_after(bad, now));
  }
}

TEST_SUITE_END();
