#include "net/sigpipe.hpp"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <cerrno>

namespace weir::net {

namespace {

sigset_t sigpipe() noexcept {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGPIPE);
  return set;
}

}  // namespace

SigpipeBlocked::SigpipeBlocked() noexcept {
  const sigset_t set = sigpipe();
  sigset_t before;
  ours_ = ::pthread_sigmask(SIG_BLOCK, &set, &before) == 0 && ::sigismember(&before, SIGPIPE) == 0;
}

SigpipeBlocked::~SigpipeBlocked() {
  if (!ours_) return;
  const int error = errno;
  const sigset_t set = sigpipe();
  const timespec now{};
  while (::sigtimedwait(&set, nullptr, &now) < 0 && errno == EINTR) continue;
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  errno = error;
}

}  // namespace weir::net
