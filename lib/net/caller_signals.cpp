#include "net/caller_signals.hpp"

#include <pthread.h>
#include <time.h>

#include <cerrno>
#include <initializer_list>

namespace weir::net {

CallerSignals::CallerSignals() noexcept {
  sigset_t held;
  ::sigfillset(&held);
  for (const int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS}) {
    ::sigdelset(&held, fault);
  }
  ::pthread_sigmask(SIG_BLOCK, &held, &before_);
  while_waiting_ = before_;
  ::sigaddset(&while_waiting_, SIGPIPE);
}

CallerSignals::~CallerSignals() {
  const int error = errno;
  if (::sigismember(&before_, SIGPIPE) == 0) {
    sigset_t sigpipe;
    ::sigemptyset(&sigpipe);
    ::sigaddset(&sigpipe, SIGPIPE);
    const timespec now{};
    while (::sigtimedwait(&sigpipe, nullptr, &now) < 0 && errno == EINTR) continue;
  }
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  errno = error;
}

}  // namespace weir::net
