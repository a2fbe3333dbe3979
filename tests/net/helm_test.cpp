#include "net/helm.hpp"

#include <doctest/doctest.h>

#include <future>
#include <memory>

#include "driver_fixture.hpp"

using weir::net::Exchange;
using weir::net::Helm;
using Leave = Helm::Leave;

namespace {

/// Exchanges that nobody carries out.
std::shared_ptr<Exchange> idle_exchange() {
  static weir::test::DriverFixture driver;
  return driver.make(weir::test::get("http://127.0.0.1/"));
}

/// The I/O thread: it is called, or this hangs.
void called(Helm& helm) {
  std::async(std::launch::async, [&] { helm.await(); }).get();
}

std::size_t inbox_of(Helm& helm) {
  Helm::Inbox inbox;
  helm.take_inbox(inbox);
  return inbox.size();
}

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("Helm: a caller takes it while nobody has it, one at a time") {
  Helm helm;
  REQUIRE(helm.take());
  CHECK_FALSE(helm.take());
  helm.leave(Leave::idle);
  CHECK(helm.take());
}

TEST_CASE("Helm: what is started while nobody has it calls the I/O thread") {
  Helm helm;
  REQUIRE(helm.add(idle_exchange()));
  called(helm);
  CHECK_FALSE(helm.take());
  CHECK(inbox_of(helm) == 1);
  helm.leave(Leave::idle);
  CHECK(helm.take());
}

TEST_CASE("Helm: what is started while a caller has it rings once, and goes to the I/O thread") {
  Helm helm;
  REQUIRE(helm.take());
  CHECK(helm.undisturbed());
  REQUIRE(helm.add(idle_exchange()));
  CHECK_FALSE(helm.undisturbed());
  CHECK(helm.bell().rung());
  helm.bell().clear();
  REQUIRE(helm.add(idle_exchange()));
  CHECK_FALSE(helm.bell().rung());
  SUBCASE("though the caller has nothing more to do") { helm.leave(Leave::idle); }
  SUBCASE("though the caller would come back") { helm.leave(Leave::lend); }
  called(helm);
  CHECK(inbox_of(helm) == 2);
}

TEST_CASE("Helm: a caller that must leave something under way calls the I/O thread") {
  Helm helm;
  REQUIRE(helm.take());
  helm.leave(Leave::go_on);
  called(helm);
}

TEST_CASE("Helm: what is lent may be taken again, and goes to the I/O thread if nobody does") {
  Helm helm;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(helm.take());
    helm.leave(Leave::lend);
  }
  called(helm);
  CHECK_FALSE(helm.take());
  helm.leave(Leave::lend);  // by the I/O thread itself
  CHECK(helm.take());
  helm.leave(Leave::lend);
  called(helm);
}

TEST_CASE("Helm: what is started while it is lent calls the I/O thread") {
  Helm helm;
  REQUIRE(helm.take());
  helm.leave(Leave::lend);
  REQUIRE(helm.add(idle_exchange()));
  CHECK_FALSE(helm.take());
  called(helm);
  CHECK(inbox_of(helm) == 1);
}

TEST_CASE("Helm: who lends it while the I/O thread sleeps wakes it to watch") {
  Helm helm;
  REQUIRE(helm.take());
  auto io_thread = std::async(std::launch::async, [&] { helm.await(); });
  helm.leave(Leave::lend);
  io_thread.get();
  CHECK_FALSE(helm.take());
}

TEST_CASE("Helm: a ring calls the I/O thread, also one that came before the helm was left") {
  Helm helm;
  helm.ring();
  called(helm);
  helm.leave(Leave::idle);  // the bell was not silenced yet
  called(helm);
  helm.bell().clear();
  helm.leave(Leave::idle);
  CHECK(helm.take());
}

TEST_CASE("Helm: after stop() nothing is taken, and the I/O thread is called") {
  Helm helm;
  SUBCASE("nobody has it") { helm.stop(); }
  SUBCASE("it is lent") {
    REQUIRE(helm.take());
    helm.leave(Leave::lend);
    helm.stop();
  }
  SUBCASE("a caller has it") {
    REQUIRE(helm.take());
    helm.stop();
    CHECK(helm.bell().rung());
    CHECK_FALSE(helm.undisturbed());
    helm.leave(Leave::lend);
  }
  called(helm);
  CHECK(helm.stopping());
  CHECK_FALSE(helm.add(idle_exchange()));
  CHECK_FALSE(helm.take());
}

TEST_SUITE_END();
