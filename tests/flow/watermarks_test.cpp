#include "flow/watermarks.hpp"

#include <doctest/doctest.h>

#include "flow/flow_fixture.hpp"

using namespace weir;
using namespace weir::test;
using flow::Watermarks;

TEST_SUITE_BEGIN("flow");

TEST_CASE("Watermarks: resolve combines a request's marks with the client's") {
  struct Row {
    Watermarks client;
    std::size_t high, low;
    Watermarks want;
  };
  const std::size_t k = 1024;
  const Row rows[] = {
      {{}, 0, 0, {4096 * k, 1024 * k, 256 * k}},
      {{}, 64 * k, 0, {64 * k, 16 * k, 64 * k}},               // high alone lowers low and unread
      {{}, 64 * 1024 * k, 0, {65536 * k, 1024 * k, 256 * k}},  // and never raises them
      {{}, 0, 4096 * k - 1, {4096 * k, 4096 * k - 1, 256 * k}},
      {{}, 10, 9, {10, 9, 10}},
      {{}, 1, 0, {1, 1, 1}},
      {{}, 3, 0, {3, 1, 3}},
      {{}, 2, 1, {2, 1, 2}},
      {{.high = 64 * k}, 0, 0, {64 * k, 16 * k, 64 * k}},  // the default low counts as not set
      {{.high = 100, .low = 99}, 0, 0, {100, 99, 100}},
      {{.high = 100, .low = 10, .unread_high = 50}, 40, 0, {40, 10, 40}},
      {{.high = 100, .low = 10, .unread_high = 500}, 0, 20, {100, 20, 100}},
  };
  for (const Row& row : rows) {
    CAPTURE(&row - rows);
    const Watermarks got = Watermarks::resolve(row.client, row.high, row.low);
    CHECK(got.high == row.want.high);
    CHECK(got.low == row.want.low);
    CHECK(got.unread_high == row.want.unread_high);
  }
}

TEST_CASE("Watermarks: resolve refuses what contradicts itself") {
  const auto refused = [](Watermarks client, std::size_t high, std::size_t low) {
    return thrown_by([&] { Watermarks::resolve(client, high, low); }) == errc::invalid_argument;
  };
  CHECK(refused({}, 10, 10));
  CHECK(refused({}, 10, 11));
  CHECK(refused({}, 1, 1));
  CHECK(refused({}, 0, std::size_t{4} << 20));
  CHECK(refused({.high = 10, .low = 10}, 0, 0));
  CHECK(refused({.high = 0}, 0, 0));
  CHECK(refused({.low = 0}, 0, 0));
  CHECK(refused({.unread_high = 0}, 0, 0));
}

TEST_SUITE_END();
