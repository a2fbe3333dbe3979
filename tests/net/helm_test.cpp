#include "net/helm.hpp"

#include <doctest/doctest.h>

#include <future>
#include <memory>

#include "driver_fixture.hpp"

using weir::net::Exchange;
using weir::net::Helm;

namespace {

/// Exchanges that nobody carries out.
std::shared_ptr<Exchange> idle_exchange() {
  static weir::test::DriverFixture driver;
  return driver.make(weir::test::get("http://127.0.0.1/"));
}

/// Whether await() returns without being called again: it does, or this hangs.
void called(Helm& helm) {
  std::async(std::launch::async, [&] { helm.await(); }).get();
}

Helm::Inbox inbox_of(Helm& helm) {
  Helm::Inbox inbox;
  helm.take_inbox(inbox);
  return inbox;
}

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("Helm: a caller takes it while nobody has it, one at a time") {
  Helm helm;
  const auto exchange = idle_exchange();
  REQUIRE(helm.take(exchange));
  CHECK_FALSE(helm.take(idle_exchange()));
  const Helm::Inbox inbox = inbox_of(helm);
  REQUIRE(inbox.size() == 1);
  CHECK(inbox[0] == exchange);
  CHECK_FALSE(helm.bell().rung());  // nobody was told: the caller knows

  helm.leave(true);
  CHECK(helm.take(exchange));
}

TEST_CASE("Helm: what is started while nobody has it calls the I/O thread") {
  Helm helm;
  REQUIRE(helm.add(idle_exchange()));
  called(helm);
  CHECK_FALSE(helm.take(idle_exchange()));
  CHECK(inbox_of(helm).size() == 1);
  helm.leave(true);
  CHECK(helm.take(idle_exchange()));
}

TEST_CASE("Helm: what is started while a caller has it rings once, and goes to the I/O thread") {
  Helm helm;
  REQUIRE(helm.take(idle_exchange()));
  inbox_of(helm);
  REQUIRE(helm.add(idle_exchange()));
  CHECK(helm.bell().rung());
  helm.bell().clear();
  REQUIRE(helm.add(idle_exchange()));
  CHECK_FALSE(helm.bell().rung());
  helm.leave(true);  // though the caller has nothing more to do
  called(helm);
  CHECK(inbox_of(helm).size() == 2);
}

TEST_CASE("Helm: a caller with something under way leaves it to the I/O thread") {
  Helm helm;
  REQUIRE(helm.take(idle_exchange()));
  inbox_of(helm);
  helm.leave(false);
  called(helm);
}

TEST_CASE("Helm: a ring calls the I/O thread, also one that came before the helm was left") {
  Helm helm;
  helm.ring();
  called(helm);
  helm.leave(true);  // the bell was not silenced yet
  called(helm);
  helm.bell().clear();
  helm.leave(true);
  CHECK(helm.take(idle_exchange()));
}

TEST_CASE("Helm: after stop() nothing is taken, and the I/O thread is called") {
  Helm helm;
  SUBCASE("nobody has it") { helm.stop(); }
  SUBCASE("a caller has it") {
    REQUIRE(helm.take(idle_exchange()));
    helm.stop();
    CHECK(helm.bell().rung());
    helm.leave(true);
  }
  called(helm);
  CHECK(helm.stopping());
  CHECK_FALSE(helm.add(idle_exchange()));
  CHECK_FALSE(helm.take(idle_exchange()));
}

TEST_SUITE_END();
