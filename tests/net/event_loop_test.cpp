#include "net/event_loop.hpp"

#include <doctest/doctest.h>

#include <chrono>

#include "support/listener.hpp"

using namespace std::chrono_literals;
using weir::detail::TimePoint;
using weir::net::Bell;
using weir::net::EventLoop;
using weir::test::SocketPair;

namespace {

TimePoint now() { return weir::detail::Clock::steady().now(); }

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("EventLoop: a bell rung before the wait, even twice, ends one wait") {
  Bell bell;
  EventLoop loop(bell);
  bell.ring();
  bell.ring();
  CHECK(loop.wait(TimePoint::max(), now()).empty());
  CHECK(loop.wait(now(), now()).empty());  // cleared: only the deadline ends this one
}

TEST_CASE("EventLoop: reports what it was asked to watch, until told to stop") {
  Bell bell;
  EventLoop loop(bell);
  SocketPair pair;
  bool guess = false;
  SUBCASE("who guesses right whether it is watched already") { guess = true; }
  SUBCASE("who guesses wrong") {}
  REQUIRE(loop.watch(pair.ours.fd(), {.read = true}, !guess));
  pair.theirs.write("x");
  auto ready = loop.wait(TimePoint::max(), now());
  REQUIRE(ready.size() == 1);
  CHECK(ready[0].fd == pair.ours.fd());
  CHECK(ready[0].readable);
  CHECK_FALSE(ready[0].writable);

  REQUIRE(loop.watch(pair.ours.fd(), {.write = true}, guess));
  ready = loop.wait(TimePoint::max(), now());
  REQUIRE(ready.size() == 1);
  CHECK(ready[0].writable);

  loop.unwatch(pair.ours.fd());
  CHECK(loop.wait(now(), now()).empty());
}

TEST_CASE("EventLoop: a peer that closes is readable") {
  Bell bell;
  EventLoop loop(bell);
  SocketPair pair;
  REQUIRE(loop.watch(pair.ours.fd(), {.read = true}, false));
  pair.theirs.close();
  const auto ready = loop.wait(TimePoint::max(), now());
  REQUIRE(ready.size() == 1);
  CHECK(ready[0].readable);
}

TEST_CASE("EventLoop: a wait is over at its deadline, and never before time runs on") {
  Bell bell;
  EventLoop loop(bell);
  const auto deadline = now() + 20ms;
  int turns = 0;
  while (now() < deadline && ++turns < 1000) loop.wait(deadline, now());
  CHECK(now() >= deadline);
  CHECK(turns <= 3);  // it slept, rather than spin
}

TEST_CASE("EventLoop: an earlier deadline replaces a later one") {
  Bell bell;
  EventLoop loop(bell);
  bell.ring();
  loop.wait(now() + 1h, now());
  const auto deadline = now() + 10ms;
  while (now() < deadline) loop.wait(deadline, now());
  CHECK(now() < deadline + 30min);
}

TEST_CASE("EventLoop: a closed descriptor is refused") {
  Bell bell;
  EventLoop loop(bell);
  CHECK_FALSE(loop.watch(-1, {.read = true}, false));
}

TEST_SUITE_END();
