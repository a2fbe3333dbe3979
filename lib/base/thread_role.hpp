#pragma once

#include <atomic>
#include <cassert>
#include <thread>

#if defined(__clang__)
#define WEIR_CAPABILITY(name) __attribute__((capability(name)))
#define WEIR_GUARDED_BY(role) __attribute__((guarded_by(role)))
#define WEIR_REQUIRES(role) __attribute__((requires_capability(role)))
#define WEIR_ASSERTS(role) __attribute__((assert_capability(role)))
#define WEIR_ACQUIRES() __attribute__((acquire_capability()))
#define WEIR_RELEASES() __attribute__((release_capability()))
#define WEIR_RETURNS(role) __attribute__((lock_returned(role)))
#else
#define WEIR_CAPABILITY(name)
#define WEIR_GUARDED_BY(role)
#define WEIR_REQUIRES(role)
#define WEIR_ASSERTS(role)
#define WEIR_ACQUIRES()
#define WEIR_RELEASES()
#define WEIR_RETURNS(role)
#endif

namespace weir::detail {

/// A duty that one thread at a time has, such as driving the transfers. Not a lock: taking a
/// role that is taken is a bug, found by an assertion, and clang's -Wthread-safety checks who
/// may touch what.
class WEIR_CAPABILITY("role") ThreadRole {
 public:
  void acquire() noexcept WEIR_ACQUIRES() {
    [[maybe_unused]] const auto before = holder_.exchange(std::this_thread::get_id());
    assert(before == std::thread::id{} && "the role is taken");
  }
  void release() noexcept WEIR_RELEASES() {
    assert_here();
    holder_.store(std::thread::id{});
  }
  void assert_here() const noexcept WEIR_ASSERTS(this) {
    assert(held_here() && "called by a thread that does not have the role");
  }
  bool held_here() const noexcept { return holder_.load() == std::this_thread::get_id(); }

 private:
  std::atomic<std::thread::id> holder_{};
};

}  // namespace weir::detail
