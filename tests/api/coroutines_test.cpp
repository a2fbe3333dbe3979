#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/async_fixture.hpp"
#include "api/scripted_stream.hpp"
#include "support/memory.hpp"
#include "support/size.hpp"

using namespace weir;
using namespace weir::test;

// Coroutines and their Client: its end, its end by one of them, and many of them. And that what
// the allowed forms of co_await make is destroyed once: AddressSanitizer tells if it is not.

namespace {

/// Counts how many of it there are.
class Counted {
 public:
  explicit Counted(std::atomic<int>& alive) : alive_(&alive) { ++*alive_; }
  Counted(const Counted& other) : alive_(other.alive_) { ++*alive_; }
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --*alive_; }

 private:
  std::atomic<int>* alive_;
};

Coroutine<std::string> fetch_whole(Client& client, std::string url) {
  auto pending = client.async_fetch(url, {.method = "GET", .headers = {{"A", "1"}, {"B", "2"}}});
  Response response = co_await pending;
  Reader reader = response.body.reader();
  std::string all;
  while (const auto chunk = co_await reader.async_read()) all += chunk->text();
  co_return all;
}

Coroutine<int> every_form(Client& client, Counted counted, std::stop_source stop) {
  const Counted local = counted;
  const std::string host = "http://localhost";
  int count = 0;

  auto named =
      client.async_fetch(host + "/a", {.headers = {{"Name", "a long enough value, on the heap"}},
                                       .body = {},
                                       .stop = stop.get_token()});
  count += (co_await named).status;
  count += (co_await client.async_fetch(host + "/b")).status;
  Reader reader = (co_await client.async_fetch(std::string(host + "/c"))).body.reader();
  if (const auto chunk = co_await reader.async_read()) count += static_cast<int>(chunk->size());
  if (const auto chunk = co_await reader.async_read(std::stop_source(stop).get_token())) {
    count += static_cast<int>(chunk->size());
  }
  const auto later = std::chrono::steady_clock::now() + std::chrono::hours(1);
  switch ((co_await reader.async_read_until(later, std::stop_source(stop).get_token())).status) {
    case ReadStatus::data: count += 100; break;
    default: break;
  }
  try {
    const auto never = client.async_fetch("nonsense");
    count += (co_await client.async_fetch("nonsense")).status;
  } catch (const Error&) {
    count += 1000;
  }
  while ((co_await reader.async_read_until(later))) ++count;
  co_return count;
}

}  // namespace

TEST_SUITE_BEGIN("api");

TEST_CASE("co_await: all that the allowed forms make is destroyed once") {
  std::atomic<int> alive{0};
  {
    AsyncFixture fixture;
    auto coroutine = every_form(*fixture.client, Counted(alive), std::stop_source());
    const auto answer = [&](bool late) -> FakeTransfer& {
      FakeTransfer& transfer = fixture.driver->next();
      if (late) fixture.driver->run_until_idle();
      transfer.head(200);
      fixture.driver->run_until_idle();
      return transfer;
    };
    answer(true);
    answer(false);
    FakeTransfer& body = answer(true);
    SUBCASE("to the end") {
      for (int i = 0; i < 5; ++i) {
        while (body.channel().stats().queued > 0) std::this_thread::yield();
        fixture.send(body, "x");
      }
      fixture.end(body);
      CHECK(coroutine.get() == 1504);
    }
    SUBCASE("to a failure") {
      fixture.send(body, "xy");
      body.fail({.code = errc::truncated});
      fixture.driver->run_until_idle();
      CHECK(code_of([&] { coroutine.get(); }) == errc::truncated);
    }
    SUBCASE("to the client's end") {
      fixture.client.reset();
      CHECK(code_of([&] { coroutine.get(); }) == errc::aborted);
    }
    CHECK(alive == 1);  // the parameter, in the frame
  }
  CHECK(alive == 0);
}

TEST_CASE("co_await: all is destroyed once with the frame of a suspended coroutine") {
  std::atomic<int> alive{0};
  for (int answers = 0; answers < 4; ++answers) {
    CAPTURE(answers);
    Executor executor;
    AsyncFixture fixture({.resume_on = executor.resume_on()});
    auto coroutine = every_form(*fixture.client, Counted(alive), std::stop_source());
    for (int i = 0; i < answers; ++i) {
      FakeTransfer& transfer = fixture.driver->next();
      transfer.head(200);
      fixture.driver->run_until_idle();
      executor.run_one();
    }
    CHECK_FALSE(coroutine.done());
    CHECK(alive == 2);
    coroutine.drop();
    CHECK(alive == 0);
    fixture.driver->run_until_idle();
    CHECK(fixture.client->stats().queue_memory == 0);
  }
}

TEST_CASE("Client: its end aborts the coroutines that are suspended, before it returns") {
  AsyncFixture fixture;
  auto [reader, transfer] = fixture.open();
  auto [other_reader, other] = fixture.open();
  auto once = read_once(reader);
  auto until =
      read_once_until(other_reader, std::chrono::steady_clock::now() + std::chrono::hours(1));
  auto for_head = fetch_whole(*fixture.client, kUrl);
  fixture.driver->next();
  auto for_body = fetch_whole(*fixture.client, kUrl);
  fixture.driver->next().head(200);
  fixture.driver->run_until_idle();
  auto not_begun = fetch_whole(*fixture.client, kUrl);
  fixture.client.reset();
  for (auto* coroutine : {&for_head, &for_body, &not_begun}) {
    CHECK(coroutine->done());
    CHECK(code_of([&] { coroutine->get(); }) == errc::aborted);
  }
  CHECK(once.done());
  CHECK(code_of([&] { once.get(); }) == errc::aborted);
  CHECK(until.done());
  CHECK(code_of([&] { until.get(); }) == errc::aborted);
}

TEST_CASE("Client: its end hands the coroutines that are suspended to resume_on") {
  Executor executor;
  AsyncFixture fixture({.resume_on = executor.resume_on()});
  auto whole = fetch_whole(*fixture.client, kUrl);
  CHECK_FALSE(whole.done());
  fixture.client.reset();
  CHECK(executor.waiting() == 1);
  CHECK(code_of([&] { executor.run(whole); }) == errc::aborted);
}

TEST_CASE("Client: may be destroyed by a coroutine, on its own continuation thread") {
  struct Ending {
    static Coroutine<std::string> run(std::unique_ptr<Client>& client, Reader& reader,
                                      std::stop_token stop) {
      co_await reader.async_read_until(Deadline::max(), std::move(stop));
      client.reset();
      co_return thread_name();
    }
  };
  for (int round = 0; round < 50; ++round) {
    AsyncFixture fixture;
    auto [reader, transfer] = fixture.open();
    auto [other_reader, other] = fixture.open();
    auto aborted = read_once(other_reader);
    // Not by bytes: then this thread would be the I/O thread, which the client's end waits for.
    std::stop_source stop;
    auto ending = Ending::run(fixture.client, reader, stop.get_token());
    stop.request_stop();
    CHECK(ending.get() == "weir-resume");
    CHECK(code_of([&] { aborted.get(); }) == errc::aborted);
    CHECK(fixture.client == nullptr);
  }
}

TEST_CASE("Client: a body that outlives it is aborted, without a suspension") {
  AsyncFixture fixture;
  auto [reader, transfer] = fixture.open();
  fixture.send(transfer, "abc");
  fixture.client.reset();
  auto once = read_once(reader);
  REQUIRE(once.done());
  CHECK(code_of([&] { once.get(); }) == errc::aborted);
}

TEST_CASE("Client: a cancel that races with its end leaves no coroutine behind") {
  for (int round = 0; round < sized(300, 1'000, 10'000); ++round) {
    AsyncFixture fixture;
    auto [reader, transfer] = fixture.open();
    auto once = read_once(reader);
    std::thread other([&body = reader] { body.cancel(); });
    fixture.client.reset();
    CHECK(once.done());
    other.join();
    CHECK(code_of([&] { once.get(); }) == errc::aborted);
  }
}

TEST_CASE("Client: drives a thousand coroutines on one thread") {
  constexpr int kMany = 1'000;
  const std::size_t threads = thread_count();
  AsyncFixture fixture;
  std::vector<Coroutine<std::string>> coroutines;
  std::vector<FakeTransfer*> transfers;
  for (int i = 0; i < kMany; ++i) {
    coroutines.push_back(fetch_whole(*fixture.client, kUrl));
    transfers.push_back(&fixture.driver->next());
  }
  CHECK(thread_count() == threads + 1);
  for (FakeTransfer* transfer : transfers) transfer->head(200);
  fixture.driver->run_until_idle();
  for (int piece = 0; piece < 3; ++piece) {
    for (int i = 0; i < kMany; ++i) {
      transfers[static_cast<std::size_t>(i)]->send(std::to_string(i) + ",");
    }
    fixture.driver->run_until_idle();
  }
  for (FakeTransfer* transfer : transfers) transfer->end();
  fixture.driver->run_until_idle();
  int right = 0;
  for (int i = 0; i < kMany; ++i) {
    const std::string piece = std::to_string(i) + ",";
    right += coroutines[static_cast<std::size_t>(i)].get() == piece + piece + piece;
  }
  CHECK(right == kMany);
  CHECK(fixture.client->stats().queue_memory == 0);
  fixture.client.reset();
  CHECK(thread_count() == threads);
}

TEST_SUITE_END();
