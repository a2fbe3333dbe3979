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
            begun_.store(mine);
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
  void wait_until_begun(int round) {
    while (begun_.load() < round) std::this_thread::yield();
  }
  void wait(int round) {
    while (done_.load() < round) std::this_thread::yield();
  }

 private:
  static constexpr int kOver = -1;
  std::atomic<int> round_{0}, begun_{0}, done_{0};
  std::thread thread_;
};

Coroutine<int> drop_when_read(Reader& reader,
                              std::optional<Coroutine<std::optional<std::string>>>& other) {
  const auto chunk = co_await reader.async_read();
  other.reset();
  co_return chunk ? static_cast<int>(chunk->size()) : 0;
}

/// Something to wait for that is ready, and wakes, when the test says so.
class Door final : public detail::Awaited {
 public:
  explicit Door(std::shared_ptr<flow::Continuations> continuations)
      : continuations_(std::move(continuations)) {}

  bool ready() noexcept override { return open.load(); }
  void enlist(flow::Waiter& waiter) noexcept override {
    ++enlisted;
    if (opens_when_enlisted) open = true;
    waiter_.store(&waiter);
  }
  bool withdraw(flow::Waiter& waiter) noexcept override {
    flow::Waiter* expected = &waiter;
    return waiter_.compare_exchange_strong(expected, nullptr);
  }
  const std::shared_ptr<flow::Continuations>& continuations() const noexcept override {
    return continuations_;
  }
  bool wake() {
    flow::Waiter* const waiter = waiter_.exchange(nullptr);
    if (waiter != nullptr) waiter->wake();
    return waiter != nullptr;
  }

  std::atomic<bool> open{false};
  bool opens_when_enlisted = false;
  std::atomic<int> enlisted{0};  // times

 private:
  const std::shared_ptr<flow::Continuations> continuations_;
  std::atomic<flow::Waiter*> waiter_{nullptr};
};

class AtDoor final : public detail::Awaiter {
 public:
  using Outcome = detail::Awaiter::Outcome;

  explicit AtDoor(Door& door, Deadline deadline = Deadline::max(), std::stop_token stop = {})
      : Awaiter(door, deadline, std::move(stop)) {}
  Outcome await_resume() noexcept { return outcome(); }
};

Coroutine<AtDoor::Outcome> pass(Door& door, Deadline deadline = Deadline::max(),
                                std::stop_token stop = {}) {
  co_return co_await AtDoor(door, deadline, std::move(stop));
}

/// A Door, and the thread that those who wait at it go on on.
struct Entrance {
  explicit Entrance(flow::Continuations::Resume resume_on = {})
      : continuations(std::make_shared<flow::Continuations>(std::move(resume_on))),
        door(continuations) {}
  ~Entrance() { continuations->stop(); }
  Entrance(const Entrance&) = delete;
  Entrance& operator=(const Entrance&) = delete;

  const std::shared_ptr<flow::Continuations> continuations;
  Door door;
};

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
  std::atomic<int> spins{0};
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
      io.wait_until_begun(round);
      for (int i = 0; i < (round % 64) * 50; ++i) ++spins;
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

TEST_CASE("Suspension: one that is woken for nothing waits on") {
  Entrance entrance;
  auto waiting = pass(entrance.door);
  for (int times = 1; times <= 3; ++times) {
    CHECK(entrance.door.enlisted == times);
    CHECK(entrance.door.wake());
    while (entrance.door.enlisted == times) std::this_thread::yield();
  }
  CHECK_FALSE(waiting.done());
  entrance.door.open = true;
  CHECK(entrance.door.wake());
  CHECK(waiting.get() == AtDoor::Outcome::ready);
  CHECK_FALSE(entrance.door.wake());
}

TEST_CASE("Suspension: what changes while it enlists is found by its second look") {
  Entrance entrance;
  entrance.door.opens_when_enlisted = true;
  auto waiting = pass(entrance.door);
  REQUIRE(waiting.done());
  CHECK(waiting.get() == AtDoor::Outcome::ready);
  CHECK(entrance.door.enlisted == 1);
  CHECK_FALSE(entrance.door.wake());
}

TEST_CASE("Suspension: the end of its thread wakes it, though its wake-up is yet to come") {
  Entrance entrance;
  auto waiting = pass(entrance.door);
  Entrance second;
  auto timed = pass(second.door, std::chrono::steady_clock::now() + std::chrono::hours(1));
  for (Entrance* each : {&entrance, &second}) {
    each->door.open = true;
    each->continuations->stop();
    CHECK_FALSE(each->door.wake());  // it has been taken back
  }
  REQUIRE(waiting.done());
  CHECK(waiting.get() == AtDoor::Outcome::ready);
  REQUIRE(timed.done());
  CHECK(timed.get() == AtDoor::Outcome::ready);
}

TEST_CASE("Suspension: a wake-up after the end of its thread touches nothing") {
  Entrance entrance;
  auto waiting = pass(entrance.door);
  entrance.continuations->stop();
  CHECK_FALSE(waiting.done());
  CHECK(entrance.door.wake());
  CHECK_FALSE(waiting.done());
}

TEST_CASE("Suspension: destroying a coroutine waits for the resume_on that is given it") {
  for (int round = 0; round < 10; ++round) {
    std::promise<void> given;
    std::atomic<bool> returning{false};
    std::atomic<int> yields{0};
    Entrance entrance([&](std::coroutine_handle<>) {
      given.set_value();
      while (yields < 30) std::this_thread::yield();
      returning = true;
    });
    auto gone = pass(entrance.door);
    entrance.door.open = true;
    entrance.door.wake();
    given.get_future().wait();
    std::thread other([&] {
      while (++yields < 30) std::this_thread::yield();
    });
    gone.drop();
    CHECK(returning);
    other.join();
  }
}

TEST_CASE(
    "Suspension: a stop counts for more than what is ready, which counts for more than time") {
  Entrance entrance;
  std::stop_source stop;
  std::promise<void> reached, go_on;
  struct Held final : flow::Task {
    Held(std::promise<void>& at, std::future<void> until) : reached(at), go_on(std::move(until)) {}
    void run() noexcept override {
      reached.set_value();
      go_on.wait();
    }
    std::promise<void>& reached;
    std::future<void> go_on;
  };
  entrance.continuations->start();
  entrance.continuations->post(std::make_shared<Held>(reached, go_on.get_future()));
  reached.get_future().wait();
  Deadline soon;
  const auto start = [&](std::chrono::milliseconds patience) {
    soon = std::chrono::steady_clock::now() + patience;
    return pass(entrance.door, soon, stop.get_token());
  };
  auto patience = std::chrono::milliseconds(1);
  auto waiting = start(patience);
  while (waiting.done()) waiting = start(patience *= 2);  // the machine is slow
  AtDoor::Outcome expected{};
  SUBCASE("stopped") {
    entrance.door.open = true;
    stop.request_stop();
    expected = AtDoor::Outcome::stopped;
  }
  SUBCASE("ready") {
    entrance.door.open = true;
    expected = AtDoor::Outcome::ready;
  }
  SUBCASE("late") { expected = AtDoor::Outcome::late; }
  while (std::chrono::steady_clock::now() < soon) std::this_thread::yield();
  go_on.set_value();
  CHECK(waiting.get() == expected);
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

TEST_CASE("Suspension: who begins to wait when the client is gone is not suspended") {
  using Outcome = AtDoor::Outcome;
  Entrance entrance;
  SUBCASE("which nobody ever waited for") {}
  SUBCASE("which somebody waited for") {
    auto before = pass(entrance.door);
    entrance.door.open = true;
    CHECK(entrance.door.wake());
    CHECK(before.get() == Outcome::ready);
    entrance.door.open = false;
  }
  entrance.continuations->stop();
  const auto waiting = pass(entrance.door);  // there is more to look at than in one go
  CHECK(waiting.done());
  CHECK_FALSE(entrance.door.wake());
}

TEST_SUITE_END();
