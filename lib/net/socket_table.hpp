#pragma once

#include <atomic>
#include <cstdint>
#include <unordered_map>
#include <utility>

#include "net/event_loop.hpp"

namespace weir::net {

/// The sockets of a driver's connections: opened and closed here, because libcurl below 8.4 closes
/// those of failed attempts without telling anyone (cf-socket.c: cf_socket_close; a70d97c46c). The
/// next socket then gets the same number, which libcurl believes to be watched already.
///
/// Thread-safety: one thread; `opened()` and `still_open()` from any.
class SocketTable {
 public:
  /// `loop` must outlive it.
  explicit SocketTable(EventLoop& loop) noexcept : loop_(loop) {}

  /// A new socket, or -1.
  int open(int family, int type, int protocol) noexcept;
  void close(int socket) noexcept;
  /// Watches any descriptor, also those that were not opened here; false if that is refused. No
  /// interest ends it.
  bool watch(int socket, Interest interest) noexcept;

  /// While it is held nothing is read from it, whatever `watch` asks for. False: the system refuses
  /// to watch it again.
  bool hold(int socket, bool held) noexcept;

  /// A socket was closed before it was connected since the last call: libcurl goes on to the next
  /// address of that host only when it is called again, and asks for no call.
  bool take_lost() noexcept { return std::exchange(lost_, false); }
  /// The last open() failed for want of descriptors or memory.
  bool exhausted() const noexcept { return exhausted_; }
  /// The idle connection with that local port has ended, was reset, or holds bytes that answer no
  /// request; over HTTP/2 bytes may be anything and are libcurl's to judge.
  bool is_unusable(int local_port) noexcept;
  void speaks_http2(int socket) noexcept;
  /// The idle connection with that local port does.
  bool is_http2(int local_port) noexcept;

  /// Some socket may report something.
  bool watches_any() const noexcept;

  std::uint64_t opened() const noexcept { return opened_.load(std::memory_order_relaxed); }
  std::uint64_t still_open() const noexcept { return still_open_.load(std::memory_order_relaxed); }

 private:
  struct Socket {
    Interest interest;
    int local_port = 0;      // 0: not asked yet
    bool connecting = true;  // nothing was to be read from it yet
    bool http2 = false;
    bool held = false;

    Interest effective() const noexcept {
      return {.read = interest.read && !held, .write = interest.write};
    }
  };

  void forget(int socket) noexcept;
  template <class Condition>
  bool any_idle(int local_port, Condition condition) noexcept;

  EventLoop& loop_;
  std::unordered_map<int, Socket> sockets_;
  bool exhausted_ = false;
  bool lost_ = false;
  // Counters, each on its own: relaxed.
  std::atomic<std::uint64_t> opened_{0};
  std::atomic<std::uint64_t> still_open_{0};
};

}  // namespace weir::net
