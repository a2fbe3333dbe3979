#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <list>
#include <thread>

namespace weir::detail {

/// A thread that takes no signals, which are for the program's own. Joined before it is destroyed.
/// Thread-safety: as any value.
class Thread {
 public:
  Thread() = default;
  /// `name`: at most 15 characters, a literal. Throws Error resource_exhausted, std::bad_alloc.
  Thread(const char* name, std::function<void()> work);

  bool joinable() const noexcept { return !running_.empty(); }
  bool is_this_thread() const noexcept;
  void join();
  /// For an owner that goes on this very thread: it is joined some time after it has ended, at the
  /// latest when the process exits.
  void join_later() noexcept;

 private:
  struct Running {
    std::thread thread;
    std::atomic<bool> ended{false};
    pid_t maker = 0;
    bool is_of_this_process() const noexcept;
  };
  class Leftovers;

  std::list<Running> running_;  // one or none: a node that moves without an allocation
};

}  // namespace weir::detail
