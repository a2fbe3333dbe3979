#include "net/sigpipe.hpp"

#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>

using weir::net::SigpipeBlocked;

namespace {

bool sigpipe_is_blocked() {
  sigset_t now;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &now);
  return ::sigismember(&now, SIGPIPE) == 1;
}

bool sigpipe_is_pending() {
  sigset_t now;
  ::sigpending(&now);
  return ::sigismember(&now, SIGPIPE) == 1;
}

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("SigpipeBlocked: one that is raised meanwhile never arrives, and the mask is as before") {
  REQUIRE_FALSE(sigpipe_is_blocked());
  {
    const SigpipeBlocked blocked;
    CHECK(sigpipe_is_blocked());
    ::pthread_kill(::pthread_self(), SIGPIPE);
    CHECK(sigpipe_is_pending());
  }
  CHECK_FALSE(sigpipe_is_blocked());  // and this thread lives
  CHECK_FALSE(sigpipe_is_pending());
}

TEST_CASE("SigpipeBlocked: a thread that blocks it anyway keeps its own") {
  const SigpipeBlocked outer;
  ::pthread_kill(::pthread_self(), SIGPIPE);
  { const SigpipeBlocked inner; }
  CHECK(sigpipe_is_blocked());
  CHECK(sigpipe_is_pending());
}

TEST_SUITE_END();
