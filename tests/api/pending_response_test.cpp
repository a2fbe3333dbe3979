#include "api/pending.hpp"

#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>

#include "api/async_fixture.hpp"
#include "api/scripted_stream.hpp"

using namespace weir;
using namespace weir::test;

namespace {

static_assert(!std::is_copy_constructible_v<PendingResponse>);
static_assert(std::is_nothrow_move_constructible_v<PendingResponse>);
static_assert(std::is_nothrow_move_assignable_v<PendingResponse>);
static_assert(std::is_convertible_v<PendingGet, PendingResponse>);

Coroutine<int> status_by_name(Client& client, RequestInit init = {}) {
  auto pending = client.async_fetch(kUrl, std::move(init));
  const Response response = co_await pending;
  co_return response.status;
}

Coroutine<int> status_directly(Client& client) {
  co_return (co_await client.async_fetch(kUrl)).status;
}

Coroutine<int> status_of(PendingResponse& pending) { co_return (co_await pending).status; }

}  // namespace

TEST_SUITE_BEGIN("api");

TEST_CASE("PendingResponse: get() waits for the head, and the body follows") {
  AsyncFixture fixture;
  PendingResponse pending = fixture.client->async_fetch(kUrl, {.method = "PUT", .body = "text"});
  FakeTransfer& transfer = fixture.driver->next();
  CHECK(transfer.request().method == "PUT");
  auto waiting = std::async(std::launch::async, [&] { return pending.get(); });
  transfer.head(201, {{"Server", "x"}}, 3);
  fixture.driver->run_until_idle();
  Response response = waiting.get();
  CHECK(response.status == 201);
  CHECK(response.headers == Headers{{"Server", "x"}});
  CHECK(response.url == kUrl);  // as the driver reports it
  transfer.send("abc", true);
  transfer.end();
  fixture.driver->run_until_idle();
  CHECK(response.text() == "abc");
}

TEST_CASE("PendingResponse: is awaited by name, and a PendingGet as it comes") {
  for (const bool by_name : {true, false}) {
    CAPTURE(by_name);
    AsyncFixture fixture;
    const auto start = [&] {
      return by_name ? status_by_name(*fixture.client, {.headers = {{"A", "1"}}})
                     : status_directly(*fixture.client);
    };
    auto answered = start();
    CHECK_FALSE(answered.done());
    fixture.driver->next().head(404);
    fixture.driver->run_until_idle();
    CHECK(answered.get() == 404);

    auto failed = start();
    CHECK_FALSE(failed.done());
    fixture.driver->next().fail({.code = errc::connect_failed, .retryable = true});
    fixture.driver->run_until_idle();
    try {
      failed.get();
      FAIL("nothing was thrown");
    } catch (const Error& error) {
      CHECK(error.code() == errc::connect_failed);
      CHECK(error.url() == kShown);
      CHECK(error.retryable());
    }
  }
}

TEST_CASE("PendingResponse: what is there already is taken without a suspension") {
  AsyncFixture fixture;
  auto pending = fixture.client->async_fetch(kUrl);
  fixture.driver->next().head(204);
  auto coroutine = status_of(pending);
  REQUIRE(coroutine.done());
  CHECK(coroutine.get() == 204);
}

TEST_CASE("PendingResponse: bad arguments come out of it, not of async_fetch(), and once") {
  AsyncFixture fixture;
  Client& client = *fixture.client;
  const auto check = [](PendingResponse pending, bool by_get) {
    if (by_get) {
      CHECK(code_of([&] { pending.get(); }) == errc::invalid_argument);
    } else {
      auto coroutine = status_of(pending);
      REQUIRE(coroutine.done());
      CHECK(code_of([&] { coroutine.get(); }) == errc::invalid_argument);
    }
    CHECK(code_of([&] { pending.get(); }) == errc::body_used);
  };
  for (const bool by_get : {true, false}) {
    CAPTURE(by_get);
    check(client.async_fetch("ftp://localhost/"), by_get);
    check(client.async_fetch(kUrl, {.high_water = 1, .low_water = 1}), by_get);
    check(client.async_fetch(kUrl, {.headers = {{"TE", "x"}}}), by_get);
  }
  CHECK_FALSE(fixture.driver->has_next());
}

TEST_CASE("PendingResponse: a second take throws body_used, after a failure too") {
  AsyncFixture fixture;
  auto pending = fixture.client->async_fetch(kUrl);
  FakeTransfer& transfer = fixture.driver->next();
  SUBCASE("after a response") {
    transfer.head(200);
    CHECK(pending.get().ok());
  }
  SUBCASE("after a failure") {
    transfer.fail({.code = errc::connect_failed});
    CHECK(code_of([&] { pending.get(); }) == errc::connect_failed);
  }
  CHECK(code_of([&] { pending.get(); }) == errc::body_used);
  auto coroutine = status_of(pending);
  REQUIRE(coroutine.done());
  CHECK(code_of([&] { coroutine.get(); }) == errc::body_used);
}

TEST_CASE("PendingResponse: one that was moved from throws body_used, the other has it") {
  AsyncFixture fixture;
  auto first = fixture.client->async_fetch(kUrl);
  fixture.driver->next().head(200);
  PendingResponse second = std::move(first);
  // NOLINTNEXTLINE(bugprone-use-after-move): that is what is asked
  CHECK(code_of([&] { first.get(); }) == errc::body_used);
  auto coroutine = status_of(first);
  CHECK(code_of([&] { coroutine.get(); }) == errc::body_used);
  CHECK(second.get().ok());
}

TEST_CASE("PendingResponse: dropping it aborts the request, before the head and after it") {
  AsyncFixture fixture;
  std::unique_ptr<PendingResponse> pending(
      std::make_unique<PendingResponse>(fixture.client->async_fetch(kUrl)));
  FakeTransfer& transfer = fixture.driver->next();
  SUBCASE("before") { pending.reset(); }
  SUBCASE("after") {
    transfer.head(200);
    transfer.send("abc");
    fixture.driver->run_until_idle();
    pending.reset();
  }
  SUBCASE("by assignment") {
    *pending = fixture.client->async_fetch(kUrl);
    FakeTransfer& other = fixture.driver->next();
    fixture.driver->run_until_idle();
    CHECK(other.cancelled() == 0);
  }
  SUBCASE("with the coroutine that awaits it") {
    auto coroutine = [](std::unique_ptr<PendingResponse> mine) -> Coroutine<int> {
      co_return (co_await *mine).status;
    }(std::move(pending));
    CHECK_FALSE(coroutine.done());
    coroutine.drop();
  }
  fixture.driver->run_until_idle();
  CHECK(transfer.cancelled() == 1);
  CHECK(fixture.client->stats().queue_memory == 0);
}

TEST_CASE("PendingResponse: a coroutine that goes leaves it whole, and another may have it") {
  AsyncFixture fixture;
  PendingResponse pending = fixture.client->async_fetch(kUrl, {});
  FakeTransfer& transfer = fixture.driver->next();
  {
    auto first = status_of(pending);
    CHECK_FALSE(first.done());
  }
  auto second = status_of(pending);
  CHECK_FALSE(second.done());
  transfer.head(200);
  fixture.driver->run_until_idle();
  CHECK(second.get() == 200);
}

TEST_CASE("PendingResponse: the request's stop aborts it in every phase") {
  AsyncFixture fixture;
  std::stop_source stop;
  SUBCASE("before: nothing is started") {
    stop.request_stop();
    auto coroutine = status_by_name(*fixture.client, {.stop = stop.get_token()});
    REQUIRE(coroutine.done());
    CHECK(code_of([&] { coroutine.get(); }) == errc::aborted);
    CHECK_FALSE(fixture.driver->has_next());
  }
  SUBCASE("while it is awaited") {
    auto coroutine = status_by_name(*fixture.client, {.stop = stop.get_token()});
    FakeTransfer& transfer = fixture.driver->next();
    CHECK_FALSE(coroutine.done());
    stop.request_stop();
    CHECK(code_of([&] { coroutine.get(); }) == errc::aborted);
    fixture.driver->run_until_idle();
    CHECK(transfer.cancelled() == 1);
  }
  SUBCASE("when nobody awaits it yet") {
    auto pending = fixture.client->async_fetch(kUrl, {.stop = stop.get_token()});
    stop.request_stop();
    CHECK(code_of([&] { pending.get(); }) == errc::aborted);
  }
  SUBCASE("in the body") {
    auto [reader, transfer] = fixture.open({.stop = stop.get_token()});
    auto coroutine = read_once(reader);
    CHECK_FALSE(coroutine.done());
    stop.request_stop();
    CHECK(code_of([&] { coroutine.get(); }) == errc::aborted);
  }
}

TEST_CASE("PendingResponse: may outlive its client, and is aborted then") {
  AsyncFixture fixture;
  auto pending = fixture.client->async_fetch(kUrl);
  auto headed = fixture.client->async_fetch(kUrl);
  fixture.driver->next();
  fixture.driver->next().head(200);
  fixture.driver->run_until_idle();
  fixture.client.reset();
  CHECK(code_of([&] { pending.get(); }) == errc::aborted);
  Response response = headed.get();  // its head had come
  CHECK(response.ok());
  CHECK(code_of([&] { response.text(); }) == errc::aborted);
}

TEST_SUITE_END();
