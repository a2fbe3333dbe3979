#include "base/thread.hpp"

#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <future>
#include <iostream>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <utility>

#include "support/failing_new.hpp"
#include "support/memory.hpp"
#include "support/size.hpp"
#include "weir/error.hpp"

using namespace weir;
using namespace weir::test;
using detail::Thread;

namespace {

std::string name_of_this_thread() {
  std::array<char, 16> name{};
  ::pthread_getname_np(::pthread_self(), name.data(), name.size());
  return name.data();
}

/// How many of the usual signals this thread takes.
int signals_taken() {
  sigset_t blocked;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  int taken = 0;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGALRM, SIGPIPE}) {
    taken += ::sigismember(&blocked, signal) == 0 ? 1 : 0;
  }
  return taken;
}

/// Waits until the process has no more threads than `count`.
bool threads_back_to(std::size_t count) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (thread_count() > count) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

/// The exit code of a child process that runs `child`, which exits; -1 if a signal ends it.
template <class Child>
int exit_code_of(Child child) {
  std::cout.flush();  // else the child prints it again
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(30);  // a child that hangs is a failure, not a hang
    child();
    ::_exit(99);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_SUITE_BEGIN("base");

TEST_CASE("Thread: runs its work once, under its name, and without signals") {
  const int before = signals_taken();
  REQUIRE(before > 0);
  int runs = 0, taken = -1;
  std::string name;
  Thread thread("fifteen-letters", [&] {
    ++runs;
    name = name_of_this_thread();
    taken = signals_taken();
  });
  CHECK(thread.joinable());
  CHECK_FALSE(thread.is_this_thread());
  thread.join();
  CHECK_FALSE(thread.joinable());
  CHECK(runs == 1);
  CHECK(name == "fifteen-letters");
  CHECK(taken == 0);
  CHECK(signals_taken() == before);
}

TEST_CASE("Thread: none is not joinable, and nobody's") {
  const Thread none;
  CHECK_FALSE(none.joinable());
  CHECK_FALSE(none.is_this_thread());
}

TEST_CASE("Thread: what it runs is let go when it has run, before the thread is joined") {
  std::promise<void> gone;
  std::shared_ptr<void> token(nullptr, [&](void*) { gone.set_value(); });
  Thread thread("let-go", [held = std::move(token)] { (void)held; });
  gone.get_future().wait();
  thread.join();
  CHECK_FALSE(thread.joinable());
}

TEST_CASE("Thread: moves, and knows itself wherever it is") {
  std::promise<void> moved;
  std::promise<bool> self;
  Thread second;
  Thread first("moved", [&] {
    moved.get_future().wait();
    self.set_value(second.is_this_thread());
  });
  second = std::move(first);
  CHECK_FALSE(first.joinable());  // NOLINT(bugprone-use-after-move): that is what is asked
  moved.set_value();
  CHECK(self.get_future().get());
  second.join();
}

// Before any thread of this process is left behind.
TEST_CASE("Thread: those left behind are joined when the process exits") {
  SUBCASE("by another thread") {
    CHECK(exit_code_of([] {
            Thread("left", [] { ::_exit(17); }).join_later();
            std::exit(3);
          }) == 17);
  }
  SUBCASE("but not the one that exits") {
    CHECK(exit_code_of([] {
            std::promise<void> ready;
            Thread thread("exits", [&] {
              ready.get_future().wait();
              thread.join_later();
              std::exit(4);
            });
            ready.set_value();
            for (;;) ::pause();
          }) == 4);
  }
}

TEST_CASE("Thread: may be left to be joined later, from itself too, and none piles up") {
  const std::size_t before = thread_count();
  for (int i = 0; i < 200; ++i) {
    std::promise<void> left;
    auto thread = std::make_unique<Thread>();
    std::promise<void> ready;
    *thread = Thread("leaves-itself", [&] {
      ready.get_future().wait();
      thread->join_later();
      thread.reset();
      left.set_value();
    });
    ready.set_value();
    left.get_future().wait();
  }
  CHECK(threads_back_to(before));
}

TEST_CASE("Thread: a forked child that exits does not wait for those its parent left behind" *
          doctest::skip(under_sanitizer())) {
  std::promise<void> go_on;
  Thread("left", [until = go_on.get_future().share()] { until.wait(); }).join_later();
  CHECK(exit_code_of([] { std::exit(5); }) == 5);
  CHECK(exit_code_of([] {
          Thread("left too", [] {}).join_later();
          std::exit(6);
        }) == 6);
  go_on.set_value();
}

TEST_CASE("Thread: one that cannot be made leaves the signals of its maker as they were") {
  const int before = signals_taken();
  SUBCASE("out of threads") {
    errc code{};
    // A stack that is larger than the address space.
    pthread_attr_t normal, huge;
    REQUIRE(::pthread_getattr_default_np(&normal) == 0);
    REQUIRE(::pthread_getattr_default_np(&huge) == 0);
    REQUIRE(::pthread_attr_setstacksize(&huge, std::size_t{1} << 47) == 0);
    REQUIRE(::pthread_setattr_default_np(&huge) == 0);
    try {
      Thread("none", [] {}).join();
    } catch (const Error& error) {
      code = static_cast<errc>(error.code().value());
    }
    REQUIRE(::pthread_setattr_default_np(&normal) == 0);
    ::pthread_attr_destroy(&normal);
    ::pthread_attr_destroy(&huge);
    CHECK(code == errc::resource_exhausted);
  }
  SUBCASE("out of memory") {
    if (kCanFailNew) CHECK(fail_each_allocation([&](int) { Thread("some", [] {}).join(); }) > 0);
  }
  CHECK(signals_taken() == before);
}

TEST_SUITE_END();
