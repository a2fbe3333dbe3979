#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "net/driver.hpp"
#include "net/event_loop.hpp"

namespace weir::net {

/// Who drives the loop, which is who may take the role `io`; and what everybody else has for them:
/// new exchanges, rings, and the word to stop.
///
/// | at the helm    | event                                     | next           |
/// |----------------|-------------------------------------------|----------------|
/// | nobody         | take(): a caller that will wait           | that caller    |
/// | nobody         | add(), ring(), stop()                     | the I/O thread |
/// | a caller       | leave(): nothing to do                    | nobody         |
/// | a caller       | leave(): something is under way, or stop  | the I/O thread |
/// | the I/O thread | leave(): nothing to do                    | nobody         |
/// A caller that drives its own request saves two switches of threads.
///
/// Invariants:
///  H1  `lead_` changes under `mutex_` only. So what one did at the helm happens before what the
///      next does there.
///  H2  No exchange is left lying: `lead_` becomes nobody only while the inbox is empty, and who
///      adds to it sees that.
///  H3  No ring is left unheard: a ringer raises the Bell, then loads `lead_`; leave() stores
///      `lead_`, then looks at the Bell (all seq_cst). One of the two sees the other, and the I/O
///      thread is called. Whoever is at the helm waits on the Bell or leaves.
///
/// Thread-safety: take() to ring() and stop() from any thread; the rest as stated.
/// Lifetime: longer than the driver's, since a caller's leave() may be what lets it go.
class Helm {
 public:
  using Inbox = std::vector<std::shared_ptr<Exchange>>;

  Helm() = default;  ///< Throws Error resource_exhausted.
  Helm(const Helm&) = delete;
  Helm& operator=(const Helm&) = delete;

  /// Puts `exchange` into the inbox if nobody is at the helm: then the caller is. False: it is
  /// taken, and `exchange` untouched. Throws std::bad_alloc.
  bool take(const std::shared_ptr<Exchange>& exchange);
  /// Puts `exchange` into the inbox. False: stop() was called. Throws std::bad_alloc.
  bool add(std::shared_ptr<Exchange> exchange);
  void ring() noexcept;
  void stop() noexcept;

  // For who is at the helm.

  /// Swaps the inbox for `empty`.
  void take_inbox(Inbox& empty) noexcept;
  bool stopping() const noexcept { return stopping_.load(std::memory_order_relaxed); }
  /// Gives the helm away; `idle` says that nothing is under way. From now on nothing of the driver
  /// belongs to the caller.
  void leave(bool idle) noexcept;

  /// For the I/O thread: waits until it is at the helm.
  void await();

  Bell& bell() noexcept { return bell_; }

 private:
  enum class Lead { nobody, caller, io_thread };

  void call_io_thread(std::unique_lock<std::mutex> lock) noexcept;

  Bell bell_;
  std::mutex mutex_;
  std::condition_variable called_;  // lead_ has become io_thread
  std::atomic<Lead> lead_{Lead::nobody};
  Inbox inbox_;                        // guarded by mutex_
  std::atomic<bool> stopping_{false};  // set under mutex_; relaxed: a stop rings as well
};

}  // namespace weir::net
