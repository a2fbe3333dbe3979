#pragma once

#include <signal.h>

namespace weir::net {

/// Keeps signals from the calling thread while it lives, as they are kept from the I/O thread, so
/// that threads which libcurl makes (for name lookups) take none of the program's either. Not those
/// that tell of a fault in this thread. Who waits with `while_waiting()` gets them there; but
/// SIGPIPE never arrives: a peer that is gone is an error code. One of the program's own, sent
/// meanwhile, is lost.
class CallerSignals {
 public:
  CallerSignals() noexcept;
  ~CallerSignals();
  CallerSignals(const CallerSignals&) = delete;
  CallerSignals& operator=(const CallerSignals&) = delete;

  /// What was blocked before, and SIGPIPE.
  const sigset_t& while_waiting() const noexcept { return while_waiting_; }

 private:
  sigset_t before_;
  sigset_t while_waiting_;
};

}  // namespace weir::net
