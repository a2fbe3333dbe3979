#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "net/driver.hpp"
#include "net/event_loop.hpp"

namespace weir::net {

/// Who drives the loop, which is who may take the role `io`; and what everybody else has for them:
/// new exchanges, rings, and the word to stop.
///
/// A thread that waits for the only exchange under way drives it itself: nobody need be woken for
/// its bytes. Between two waits the helm is lent to nobody; if the reader does not come back for a
/// while, the I/O thread goes on.
///
/// | at the helm    | event                                      | next           |
/// |----------------|--------------------------------------------|----------------|
/// | nobody         | take(), by a thread that will wait         | that caller    |
/// | nobody         | add(), ring(), stop()                      | the I/O thread |
/// | nobody, lent   | as above; or H4's time passes              | the I/O thread |
/// | a caller       | leave(idle)                                | nobody         |
/// | a caller       | leave(lend)                                | nobody, lent   |
/// | a caller       | leave(go_on), or something was added, stop | the I/O thread |
/// | the I/O thread | leave(), as for a caller                   |                |
///
/// Invariants:
///  H1  `lead_` changes under `mutex_` only. So what one did at the helm happens before what the
///      next does there.
///  H2  No exchange is left lying: `lead_` becomes nobody only while the inbox is empty, and who
///      adds to it sees that.
///  H3  No ring is left unheard: a ringer raises the Bell, then loads `lead_`; leave() stores
///      `lead_`, then looks at the Bell (all seq_cst). One of the two sees the other, and the I/O
///      thread is called. Whoever is at the helm waits on the Bell or leaves.
///  H4  Nothing lent is forgotten: while `lent_`, the I/O thread is `watching_`, that is, it looks
///      again by the clock; who lends while it is not wakes it. What it finds lent it takes one
///      kPatience later. It finds it within another; or later, if the caller was at the helm for
///      long itself, but never after more than kLongestWatch.
///
/// Thread-safety: take() to stop() from any thread; the rest as stated.
/// Lifetime: longer than the driver's, since a caller's leave() may be what lets it go.
class Helm {
 public:
  using Inbox = std::vector<std::shared_ptr<Exchange>>;
  static constexpr std::chrono::milliseconds kPatience{1};
  static constexpr std::chrono::milliseconds kLongestWatch{16};

  Helm() = default;  ///< Throws Error resource_exhausted.
  Helm(const Helm&) = delete;
  Helm& operator=(const Helm&) = delete;

  /// True: nobody was at the helm, now the caller is.
  bool take() noexcept;
  /// Puts `exchange` into the inbox. False: stop() was called. Throws std::bad_alloc.
  bool add(std::shared_ptr<Exchange> exchange);
  void ring() noexcept;
  void stop() noexcept;
  bool stopping() const noexcept { return stopping_.load(std::memory_order_relaxed); }

  // For who is at the helm.

  /// Nothing was added, and stop() was not called.
  bool undisturbed() noexcept;
  /// Swaps the inbox for `empty`.
  void take_inbox(Inbox& empty) noexcept;
  /// idle: nothing is under way. lend: one exchange, and a thread that will soon wait for it again.
  enum class Leave { idle, lend, go_on };
  /// Gives the helm away. From now on nothing of the driver belongs to the caller.
  void leave(Leave how) noexcept;

  /// For the I/O thread: waits until it is at the helm.
  void await();

  Bell& bell() noexcept { return bell_; }

 private:
  enum class Lead { nobody, caller, io_thread };

  void call_io_thread(std::unique_lock<std::mutex> lock) noexcept;

  Bell bell_;
  std::mutex mutex_;
  std::condition_variable called_;  // the I/O thread shall look
  std::atomic<Lead> lead_{Lead::nobody};
  bool lent_ = false;        // this and below: guarded by mutex_
  bool watching_ = false;    // H4
  std::uint64_t turns_ = 0;  // times the helm was left
  Inbox inbox_;
  std::atomic<bool> stopping_{false};  // set under mutex_; relaxed: a stop rings as well
};

}  // namespace weir::net
