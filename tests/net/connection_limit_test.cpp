#include "net/connection_limit.hpp"

#include <doctest/doctest.h>

using weir::net::ConnectionLimit;

TEST_SUITE_BEGIN("net");

TEST_CASE("ConnectionLimit: none at all lets everything run") {
  ConnectionLimit limit(0, 0);
  CHECK_FALSE(limit.wants_origins());
  for (int i = 0; i < 1000; ++i) CHECK(limit.take(""));
  CHECK_FALSE(limit.full());
  limit.give("");
}

TEST_CASE("ConnectionLimit: counts all, and those to each origin") {
  ConnectionLimit limit(3, 2);
  CHECK(limit.wants_origins());
  CHECK(limit.take("a"));
  CHECK(limit.take("a"));
  CHECK_FALSE(limit.take("a"));
  CHECK_FALSE(limit.full());
  CHECK(limit.take("b"));
  CHECK(limit.full());
  CHECK_FALSE(limit.take("c"));
  limit.give("b");
  CHECK_FALSE(limit.take("a"));
  limit.give("a");
  CHECK(limit.take("a"));
  CHECK(limit.take("c"));
  CHECK(limit.full());
}

TEST_SUITE_END();
