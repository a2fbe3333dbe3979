#include "flow/continuations.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/coroutine.hpp"
#include "support/failing_new.hpp"
#include "support/must_call.hpp"

using namespace weir;
using namespace weir::test;
using flow::Continuations;

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

class FunctionTask final : public flow::Task {
 public:
  explicit FunctionTask(std::function<void()> function) : function_(std::move(function)) {}
  void run() noexcept override { function_(); }

 private:
  const std::function<void()> function_;
};

std::shared_ptr<FunctionTask> task(std::function<void()> function) {
  return std::make_shared<FunctionTask>(std::move(function));
}

std::shared_ptr<Continuations> make(Continuations::Resume resume_on = {}) {
  return std::make_shared<Continuations>(std::move(resume_on));
}

std::shared_ptr<Continuations> started() {
  auto made = make();
  made->start();
  return made;
}

/// Holds the continuation thread up, in a task, until it is opened or goes.
class Gate {
 public:
  explicit Gate(Continuations& continuations) {
    std::promise<void> reached;
    continuations.post(task([&reached, opened = opened_.get_future().share()] {
      const auto wait_for = opened;  // the Gate may be gone then, and `reached` is
      reached.set_value();
      wait_for.wait();
    }));
    reached.get_future().wait();
  }
  void open() {
    if (!std::exchange(open_, true)) opened_.set_value();
  }
  ~Gate() { open(); }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

 private:
  std::promise<void> opened_;
  bool open_ = false;
};

/// Waits until all that was posted before has run.
void settle(Continuations& continuations) {
  std::promise<void> done;
  continuations.post(task([&] { done.set_value(); }));
  done.get_future().wait();
}

}  // namespace

TEST_SUITE_BEGIN("flow");

TEST_CASE("Continuations: knows its own thread") {
  const auto continuations = started();
  CHECK_FALSE(continuations->is_this_thread());
  std::promise<bool> inside;
  continuations->post(task([&] { inside.set_value(continuations->is_this_thread()); }));
  CHECK(inside.get_future().get());
  continuations->stop();
  CHECK_FALSE(continuations->is_this_thread());
}

TEST_CASE("Continuations: one that was never started has no thread, and ends") {
  const auto continuations = make();
  continuations->stop();
  continuations->stop();
  continuations->start();  // too late
  const MustCall never = must_not_call("a task after the end");
  continuations->post(task(never()));
  continuations->post_at(task(never()), steady_clock::now());
}

TEST_CASE("Continuations: tasks run on a thread of their own, in order, one at a time") {
  const auto continuations = started();
  std::vector<int> order;
  std::vector<std::string> threads;
  {
    Gate gate(*continuations);
    for (int i = 0; i < 100; ++i) {
      continuations->post(task([&, i] {
        order.push_back(i);
        threads.push_back(thread_name());
      }));
    }
  }
  continuations->stop();
  REQUIRE(order.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);
  for (const auto& name : threads) CHECK(name == "weir-resume");
}

TEST_CASE("Continuations: starting it again starts nothing") {
  const auto continuations = started();
  continuations->start();
  std::thread::id first, second;
  continuations->post(task([&] { first = std::this_thread::get_id(); }));
  settle(*continuations);
  continuations->start();
  continuations->post(task([&] { second = std::this_thread::get_id(); }));
  settle(*continuations);
  CHECK(first == second);
  continuations->stop();
}

TEST_CASE("Continuations: what is posted often before it begins runs once, and again if later") {
  const auto continuations = started();
  int runs = 0;
  const auto counted = task([&] { ++runs; });
  {
    Gate gate(*continuations);
    for (int i = 0; i < 10; ++i) continuations->post(counted);
  }
  settle(*continuations);
  CHECK(runs == 1);
  continuations->post(counted);
  settle(*continuations);
  CHECK(runs == 2);
  continuations->stop();
}

TEST_CASE("Continuations: a task may post itself while it runs") {
  const auto continuations = started();
  int runs = 0;
  std::shared_ptr<FunctionTask> again;
  again = task([&] {
    if (++runs < 5) continuations->post(again);
  });
  continuations->post(again);
  continuations->stop();
  CHECK(runs == 5);
}

TEST_CASE("Continuations: a task is let go once it has run, and not under a lock") {
  const auto continuations = started();
  bool gone = false;
  {
    // Letting go of this calls back.
    std::shared_ptr<void> token(
        nullptr, [&, held = continuations](void*) { held->post(task([&] { gone = true; })); });
    continuations->post(task([token] { (void)token; }));
  }
  settle(*continuations);
  settle(*continuations);
  CHECK(gone);
  continuations->stop();
}

TEST_CASE("Continuations: deadlines come in their order, and not before their time") {
  const auto continuations = started();
  Gate gate(*continuations);
  const auto now = steady_clock::now();
  std::vector<int> order;
  std::vector<bool> early;
  std::promise<void> done;
  const auto due_in = [&](int in, bool last = false) {
    const auto due = now + milliseconds(in);
    continuations->post_at(task([&, in, due, last] {
                             order.push_back(in);
                             early.push_back(steady_clock::now() < due);
                             if (last) done.set_value();
                           }),
                           due);
  };
  due_in(30, true);
  due_in(20);
  due_in(-5);
  due_in(10);
  gate.open();
  done.get_future().wait();
  continuations->stop();
  CHECK(order == std::vector<int>{-5, 10, 20, 30});
  CHECK(early == std::vector<bool>(4, false));
}

TEST_CASE("Continuations: a deadline is set anew, posted early, or taken back") {
  const auto continuations = make();
  int runs = 0;
  const auto counted = task([&] { ++runs; });
  const auto later = steady_clock::now() + hours(1);
  SUBCASE("anew") {
    continuations->post_at(counted, later);
    continuations->post_at(counted, steady_clock::now());
    settle(*continuations);
    settle(*continuations);  // what is due may be posted behind the first
    CHECK(runs == 1);
  }
  SUBCASE("posted early, which leaves it") {
    continuations->post_at(counted, later);
    continuations->post(counted);
    settle(*continuations);
    CHECK(runs == 1);
    continuations->stop();
    CHECK(runs == 2);
  }
  SUBCASE("taken back") {
    continuations->post_at(counted, later);
    continuations->forget_deadline(*counted);
    continuations->forget_deadline(*counted);
    continuations->stop();
    CHECK(runs == 0);
  }
  continuations->stop();
  CHECK(counted.use_count() == 1);
}

TEST_CASE("Continuations: stop() runs what was posted, and what waits for its time") {
  const auto continuations = make();
  std::vector<std::string> ran;
  const auto noted = [&](const char* name) { return task([&, name] { ran.push_back(name); }); };
  continuations->post_at(noted("without a time"), detail::TimePoint::max());
  continuations->post_at(noted("in an hour"), steady_clock::now() + hours(1));
  {
    Gate gate(*continuations);
    continuations->post(noted("posted"));
    continuations->post(task([&] {
      continuations->post(noted("by a task"));
      continuations->post_at(noted("by a task, later"), detail::TimePoint::max());
    }));
  }
  continuations->stop();
  CHECK(ran.size() == 5);
  CHECK(std::find(ran.begin(), ran.end(), "posted") <
        std::find(ran.begin(), ran.end(), "by a task"));
  const MustCall never = must_not_call("a task after the end");
  continuations->post(task(never()));
  continuations->post_at(task(never()), detail::TimePoint::max());
}

TEST_CASE("Continuations: stop() waits for the task under way") {
  const auto continuations = started();
  std::atomic<bool> ended{false};
  std::promise<void> begun;
  continuations->post(task([&] {
    begun.set_value();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    ended = true;
  }));
  begun.get_future().wait();
  continuations->stop();
  CHECK(ended);
}

TEST_CASE("Continuations: stop() on its own thread waits for nothing, and the rest still runs") {
  auto continuations = started();
  std::promise<bool> done;
  {
    Gate gate(*continuations);
    continuations->post(task([&] {
      const auto stopped = std::make_shared<bool>(false);
      continuations->post(task([&, stopped] { done.set_value(*stopped); }));
      continuations->stop();
      *stopped = true;
      continuations.reset();  // the last owner but the thread
    }));
  }
  CHECK(done.get_future().get());
}

TEST_CASE("Continuations: abandon() leaves undone what is posted, or waits for its time") {
  const auto continuations = started();
  bool ran = false;
  const auto left = task([&] { ran = true; });
  const auto timed = task([&] { ran = true; });
  settle(*continuations);
  continuations->post_at(timed, steady_clock::now() + hours(1));
  continuations->abandon();
  continuations->post(left);
  continuations->stop();  // here only: its thread may have been at its last task
  CHECK_FALSE(ran);
  CHECK(left.use_count() == 2);  // in reach: no leak at exit
  continuations->forget_deadline(*timed);
  CHECK(timed.use_count() == 1);
}

TEST_CASE("Continuations: abandon() waits for no task under way, and nothing follows it") {
  // As at exit: never destroyed, so it is let go when its thread has ended.
  auto continuations = started();
  std::promise<void> begun, go_on, over;
  const MustCall never = must_not_call("a task that was left undone");
  const auto left = task(never());
  std::shared_ptr<void> running(nullptr, [&](void*) { over.set_value(); });
  continuations->post(task([&, alive = std::move(running)] {
    begun.set_value();
    go_on.get_future().wait();
  }));
  begun.get_future().wait();
  continuations->post(left);
  continuations->abandon();
  go_on.set_value();
  over.get_future().wait();
  continuations->stop();  // here only: so that the thread is joined
  CHECK(left.use_count() == 2);
}

TEST_CASE("Continuations: resume() resumes, or hands the coroutine to resume_on") {
  struct Once {
    static Coroutine<int> run() {
      co_await std::suspend_always();
      co_return 7;
    }
  };
  auto coroutine = Once::run();
  SUBCASE("resumes") {
    const auto continuations = make();
    continuations->resume(coroutine.handle());
    CHECK(coroutine.done());
    continuations->stop();
  }
  SUBCASE("hands it over") {
    Executor executor;
    const auto continuations = make(executor.resume_on());
    continuations->resume(coroutine.handle());
    CHECK_FALSE(coroutine.done());
    CHECK(executor.run(coroutine) == 7);
    continuations->stop();
  }
}

TEST_CASE("Continuations: what cannot be allocated leaves nothing behind" *
          doctest::skip(!kCanFailNew)) {
  const auto continuations = started();
  int runs = 0;
  const auto counted = task([&] { ++runs; });
  CHECK(fail_each_allocation(
            [&](int) { continuations->post_at(counted, steady_clock::now() + hours(1)); }) == 1);
  CHECK(counted.use_count() == 2);
  continuations->stop();
  CHECK(runs == 1);
  CHECK(counted.use_count() == 1);
}

TEST_CASE("Continuations: many threads post at once, and none of it is lost") {
  const auto continuations = started();
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  std::atomic<int> runs{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kEach; ++i) {
        const auto counted = task([&] { ++runs; });
        if ((i + thread) % 3 == 0) {
          continuations->post_at(counted, steady_clock::now());
        } else {
          continuations->post(counted);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  continuations->stop();
  CHECK(runs == kThreads * kEach);
}

TEST_SUITE_END();
