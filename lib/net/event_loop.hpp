#pragma once

#include <signal.h>

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.hpp"

namespace weir::net {

/// A file descriptor that closes itself.
class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();
  int get() const noexcept { return fd_; }

 private:
  int fd_ = -1;
};

/// Wakes an EventLoop. Rings before the loop looks are one event.
/// Thread-safety: any thread; clear() is the loop's. Lifetime: may outlive the loop.
class Bell {
 public:
  Bell();  ///< Throws Error resource_exhausted.
  void ring() noexcept;
  void clear() noexcept;
  /// Since the last clear(). While it is true, fd() is readable, or at once will be.
  bool rung() const noexcept { return rung_.load(); }
  int fd() const noexcept { return fd_.get(); }

 private:
  Fd fd_;
  std::atomic<bool> rung_{false};
};

struct Interest {
  bool read = false;
  bool write = false;
};

struct Event {
  int fd;
  bool readable;
  bool writable;
  bool failed;
};

/// Waits for sockets, one timer and a Bell. The only part of the library that knows the
/// operating system's event interface: here epoll and timerfd.
/// Thread-safety: one thread at a time.
class EventLoop {
 public:
  /// `bell` must outlive the loop. Throws Error resource_exhausted.
  explicit EventLoop(Bell& bell);

  /// Starts or changes the watch on `fd`; false if the system refuses. `watched`: whether there is
  /// one already, as far as the caller knows; a wrong guess costs a second system call.
  bool watch(int fd, Interest interest, bool watched) noexcept;
  bool unwatch(int fd) noexcept;  ///< False: it was not watched, or is closed.

  /// Waits until a socket is ready, the bell was rung or `deadline` has passed (at once if it has
  /// passed at `now`); returns the sockets that are ready, perhaps none. It may return early. The
  /// result is valid until the next call.
  std::span<const Event> wait(detail::TimePoint deadline, detail::TimePoint now);
  /// While it waits, these signals are blocked and no others; null: those that the thread blocks.
  /// It must live until this is called again.
  void block_while_waiting(const sigset_t* signals) noexcept { blocked_ = signals; }

 private:
  void arm(detail::TimePoint deadline) noexcept;

  Bell& bell_;
  Fd epoll_;
  Fd timer_;
  detail::TimePoint armed_ = detail::TimePoint::max();
  std::vector<Event> ready_;
  const sigset_t* blocked_ = nullptr;
};

}  // namespace weir::net
