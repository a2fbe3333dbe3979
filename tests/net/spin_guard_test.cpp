#include "net/spin_guard.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using weir::net::SpinGuard;

TEST_SUITE_BEGIN("net");

TEST_CASE("SpinGuard: leaves the timer alone while things happen") {
  SpinGuard guard;
  for (int i = 0; i < 1000; ++i) {
    guard.expired();
    if (i % 16 == 15) guard.progress();
    REQUIRE(guard.clamp(0ms) == 0ms);
  }
}

TEST_CASE("SpinGuard: fruitless expiries are slowed to 10 ms, then to 2 s") {
  SpinGuard guard;
  for (int i = 0; i < 16; ++i) guard.expired();
  CHECK(guard.clamp(0ms) == 0ms);
  guard.expired();
  CHECK(guard.clamp(0ms) == 10ms);
  CHECK(guard.clamp(250ms) == 250ms);
  guard.expired();
  CHECK(guard.clamp(0ms) == 20ms);
  for (int i = 0; i < 20; ++i) guard.expired();
  CHECK(guard.clamp(0ms) == 2000ms);
  guard.progress();
  CHECK(guard.clamp(0ms) == 0ms);
}

TEST_SUITE_END();
