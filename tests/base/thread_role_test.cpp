#include "base/thread_role.hpp"

#include <doctest/doctest.h>

#include <thread>

using weir::detail::ThreadRole;

namespace {

// Compiles under -Wthread-safety, which wants the role wherever `value` is touched.
class Counter {
 public:
  void add() noexcept {
    io_.acquire();
    ++value_;
    twice();
    io_.release();
  }
  int from_callback() noexcept {
    io_.assert_here();
    return ++value_;
  }
  ThreadRole& io() noexcept WEIR_RETURNS(io_) { return io_; }

 private:
  void twice() noexcept WEIR_REQUIRES(io_) { value_ *= 2; }

  ThreadRole io_;
  int value_ WEIR_GUARDED_BY(io_) = 0;
};

bool held_on_another_thread(const ThreadRole& role) {
  bool held = true;
  std::thread([&] { held = role.held_here(); }).join();
  return held;
}

}  // namespace

TEST_SUITE_BEGIN("base");

TEST_CASE("ThreadRole: nobody has it at first") {
  const ThreadRole role;
  CHECK_FALSE(role.held_here());
}

TEST_CASE("ThreadRole: the thread that acquired it has it, and no other") {
  ThreadRole role;
  role.acquire();
  role.assert_here();
  CHECK(role.held_here());
  CHECK_FALSE(held_on_another_thread(role));
  role.release();
  CHECK_FALSE(role.held_here());
}

TEST_CASE("ThreadRole: passes from thread to thread with what it guards") {
  Counter counter;
  for (int i = 0; i < 10; ++i) std::thread([&] { counter.add(); }).join();
  counter.io().acquire();
  const int value = counter.from_callback();
  counter.io().release();
  CHECK(value == 2047);
}

TEST_SUITE_END();
