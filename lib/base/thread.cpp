#include "base/thread.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <mutex>
#include <string>
#include <system_error>
#include <utility>

#include "weir/error.hpp"

namespace weir::detail {

namespace {

// The mask is inherited: signals are blocked from a new thread's first instruction on.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

// Threads exist in the process that made them only: a forked child has none to join.
bool Thread::Running::is_of_this_process() const noexcept { return maker == ::getpid(); }

/// Never destroyed, but emptied when the process exits.
class Thread::Leftovers {
 public:
  static Leftovers& instance() {
    static union Forever {
      Forever() : leftovers() {}
      ~Forever() { leftovers.join_all(); }
      Leftovers leftovers;
    } forever;
    return forever.leftovers;
  }

  void add(std::list<Running>& thread) noexcept {
    const std::lock_guard lock(mutex_);
    threads_.remove_if([](Running& left) {
      // acquire: pairs with the release at the thread's end.
      const bool over = left.ended.load(std::memory_order_acquire);
      if (over && left.is_of_this_process()) left.thread.join();
      return over && left.is_of_this_process();
    });
    threads_.splice(threads_.end(), thread);
  }

 private:
  void join_all() noexcept {
    std::list<Running> others;
    {
      const std::lock_guard lock(mutex_);
      for (auto next = threads_.begin(); next != threads_.end();) {
        const auto left = next++;
        // A thread that has called exit() is here itself, and never ends.
        const bool other = left->thread.get_id() != std::this_thread::get_id();
        if (other && left->is_of_this_process()) others.splice(others.end(), threads_, left);
      }
    }
    for (Running& other : others) other.thread.join();
  }

  std::mutex mutex_;
  std::list<Running> threads_;
};

Thread::Thread(const char* name, std::function<void()> work) : running_(1) {
  Running& running = running_.front();
  running.maker = ::getpid();
  const SignalsBlocked blocked;
  try {
    running.thread = std::thread([name, work = std::move(work), &ended = running.ended]() mutable {
      ::pthread_setname_np(::pthread_self(), name);
      std::exchange(work, nullptr)();
      ended.store(true, std::memory_order_release);  // release: the last thing it does
    });
  } catch (const std::system_error& error) {
    throw Error({.code = errc::resource_exhausted, .detail = "thread: " + error.code().message()});
  }
}

bool Thread::is_this_thread() const noexcept {
  return joinable() && running_.front().thread.get_id() == std::this_thread::get_id();
}

void Thread::join() {
  running_.front().thread.join();
  running_.clear();
}

void Thread::join_later() noexcept { Leftovers::instance().add(running_); }

}  // namespace weir::detail
