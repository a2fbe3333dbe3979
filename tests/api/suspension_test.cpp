#include "api/suspension.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/async_fixture.hpp"
#include "api/scripted_stream.hpp"
#include "support/failing_new.hpp"
#include "support/size.hpp"

using namespace weir;
using namespace weir::test;

namespace {

/// A second thread for races: runs `work(round)` each time that the test says go.
class Rival {
 public:
  template <class Work>
  explicit Rival(Work work)
      : thread_([this, work] {
          for (int mine = 1;; ++mine) {
            int now;
            while ((now = round_.load()) != kOver && now < mine) std::this_thread::yield();
            if (now == kOver) return;
            work(mine);
            done_.store(mine);
          }
        }) {}
  ~Rival() {
    round_.store(kOver);
    thread_.join();
  }
  Rival(const Rival&) = delete;
  Rival& operator=(const Rival&) = delete;

  void go(int round) { round_.store(round); }
  void wait(int round) {
    while (done_.load() < round) std::this_thread::yield();
  }

 private:
  static constexpr int kOver = -1;
  std::atomic<int> round_{0}, done_{0};
  std::thread thread_;
};

Coroutine<int> drop_when_read(Reader& reader,
                              std::optional<Coroutine<std::optional<std::string>>>& other) {
  const auto chunk = co_await reader.async_read();
  other.reset();
  co_return chunk ? static_cast<int>(chunk->size()) : 0;
}

}  // namespace

TEST_SUITE_BEGIN("api");

TEST_CASE("Suspension: a coroutine that goes before anything came loses nothing") {
  AsyncFixture fixture;
  auto [reader, transfer] = fixture.open();
  std::stop_source stop;
  SUBCASE("async_read") {
    const auto gone = read_once(reader);
    CHECK_FALSE(gone.done());
  }
  SUBCASE("with a stop token") {
    const auto gone = read_once(reader, stop.get_token());
    CHECK_FALSE(gone.done());
  }
  SUBCASE("with a deadline") {
    const auto later = std::chrono::steady_clock::now() + std::chrono::hours(1);
    const auto gone = read_once_until(reader, later, stop.get_token());
    CHECK_FALSE(gone.done());
  }
  SUBCASE("many, one after the other") {
    for (int i = 0; i < 100; ++i) {
      const auto gone = read_once(reader);
      CHECK_FALSE(gone.done());
    }
  }
  stop.request_stop();  // nobody listens
  auto rest = read_to_end(reader);
  fixture.send(transfer, "abc");
  fixture.end(transfer);
  CHECK(rest.get() == "abc");
  CHECK(transfer.cancelled() == 0);
}

TEST_CASE("Suspension: a coroutine that goes while it is being woken loses nothing") {
  // The continuation thread hands it to the executor while it is destroyed: once that is done, the
  // executor may have it, and forgets it.
  const int rounds = sized(10'000, 10'000, 50'000);
  Executor executor;
  AsyncFixture fixture({.resume_on = executor.resume_on()});
  auto [reader, transfer] = fixture.open();
  int lost = 0, given = 0;
  {
    Rival io([&fixture, &to = transfer](int) {
      to.send("x");
      fixture.driver->run_until_idle();
    });
    for (int round = 1; round <= rounds; ++round) {
      auto gone = read_once(reader);
      if (gone.done()) ++lost;
      const auto handle = gone.handle();
      io.go(round);
      for (int i = 0; i < round % 64; ++i) std::this_thread::yield();
      gone.drop();
      given += executor.forget(handle);
      io.wait(round);
      if (reader.try_read().chunk.text() != "x") ++lost;
    }
  }
  CHECK(lost == 0);
  CHECK(executor.waiting() == 0);
  MESSAGE(given, " of ", rounds, " had been handed over");
  fixture.end(transfer);
  CHECK(reader.try_read().status == ReadStatus::end);
}

TEST_CASE("Suspension: a coroutine destroyed on the continuation thread may be woken meanwhile") {
  const int rounds = sized(10'000, 10'000, 50'000);
  AsyncFixture fixture;
  auto [victim, to_victim] = fixture.open();
  auto [killer, to_killer] = fixture.open();
  int lost = 0;
  {
    Rival io([&fixture, &to = to_victim](int) {
      to.send("x");
      fixture.driver->run_until_idle();
    });
    for (int round = 1; round <= rounds; ++round) {
      std::optional<Coroutine<std::optional<std::string>>> gone(read_once(victim));
      // The wake-up of the killer comes first, so the victim never reads.
      auto dropping = drop_when_read(killer, gone);
      fixture.send(to_killer, "go");
      io.go(round);
      if (dropping.get() != 2) ++lost;
      io.wait(round);
      if (victim.try_read().chunk.text() != "x") ++lost;
    }
  }
  CHECK(lost == 0);
}

TEST_CASE("Suspension: stop, bytes and time may come at once, and each read ends in one way") {
  const int rounds = sized(5'000, 10'000, 50'000);
  AsyncFixture fixture;
  auto [reader, transfer] = fixture.open();
  std::stop_source stop;
  int lost = 0, stopped = 0, late = 0, taken = 0;
  {
    Rival io([&fixture, &to = transfer](int) {
      to.send("x");
      fixture.driver->run_until_idle();
    });
    Rival stopper([&stop](int) { stop.request_stop(); });
    for (int round = 1; round <= rounds; ++round) {
      stop = std::stop_source();
      const auto deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(20);
      auto reading =
          read_once_until(reader, round % 2 ? deadline : Deadline::max(), stop.get_token());
      io.go(round);
      stopper.go(round);
      const ReadResult result = reading.get();
      stopped += result.status == ReadStatus::stopped;
      late += result.status == ReadStatus::pending;
      taken += result.status == ReadStatus::data;
      io.wait(round);
      stopper.wait(round);
      if (!result && !reader.try_read()) ++lost;
    }
  }
  CHECK(stopped + late + taken == rounds);
  CHECK(lost == 0);
  MESSAGE(stopped, " stopped, ", late, " late, ", taken, " read");
  CHECK(reader.try_read().status == ReadStatus::pending);
}

TEST_CASE("Suspension: resume_on gets every coroutine, on the continuation thread") {
  Executor executor;
  AsyncFixture fixture({.resume_on = executor.resume_on()});
  struct Where {
    static Coroutine<std::vector<std::string>> run(Client& client, Reader& reader) {
      std::vector<std::string> threads;
      const Response response = co_await client.async_fetch(kUrl);
      threads.push_back(thread_name());
      while (co_await reader.async_read()) threads.push_back(thread_name());
      co_return threads;
    }
  };
  auto [reader, transfer] = fixture.open();
  auto where = Where::run(*fixture.client, reader);
  fixture.driver->next().head(200);
  fixture.driver->run_until_idle();
  executor.run_one();
  fixture.send(transfer, "a");
  executor.run_one();
  fixture.end(transfer);
  executor.run_one();
  CHECK(where.get() == std::vector<std::string>(2, thread_name()));
  CHECK(executor.posted_from() == std::set<std::string>{"weir-resume"});
}

TEST_CASE("Suspension: what resume_on keeps to itself may be destroyed, and forgotten") {
  Executor executor;
  AsyncFixture fixture({.resume_on = executor.resume_on()});
  auto [reader, transfer] = fixture.open();
  {
    auto gone = read_once(reader);
    fixture.send(transfer, "abc");
    executor.wait();
    const auto handle = gone.handle();
    gone.drop();
    CHECK(executor.forget(handle));
  }
  CHECK(reader.try_read().chunk.text() == "abc");
}

TEST_CASE("Suspension: a coroutine may be destroyed in resume_on itself") {
  std::optional<Coroutine<std::optional<std::string>>> gone;
  std::promise<void> destroyed;
  AsyncFixture fixture({.resume_on = [&](std::coroutine_handle<>) {
    gone.reset();
    destroyed.set_value();
  }});
  auto [reader, transfer] = fixture.open();
  gone.emplace(read_once(reader));
  fixture.send(transfer, "abc");
  destroyed.get_future().wait();
  CHECK(reader.try_read().chunk.text() == "abc");
}

TEST_CASE("Suspension: what cannot be allocated is thrown into the coroutine, and harms nothing" *
          doctest::skip(!kCanFailNew)) {
  AsyncFixture fixture;
  auto [reader, transfer] = fixture.open();
  const auto later = std::chrono::steady_clock::now() + std::chrono::hours(1);
  std::stop_source stop;
  const int failed = fail_each_allocation([&, &body = reader](int) {
    auto coroutine = read_once_until(body, later, stop.get_token());
    if (coroutine.done()) coroutine.get();
  });
  CHECK(failed >= 4);  // the coroutine's two, ours, and those of the thread
  fixture.send(transfer, "abc");
  CHECK(reader.try_read().chunk.text() == "abc");
}

TEST_SUITE_END();
