#include "net/caller_signals.hpp"

#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>

#include <initializer_list>

using weir::net::CallerSignals;

namespace {

bool is_blocked(int signal) {
  sigset_t now;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &now);
  return ::sigismember(&now, signal) == 1;
}
bool sigpipe_is_blocked() { return is_blocked(SIGPIPE); }

bool sigpipe_is_pending() {
  sigset_t now;
  ::sigpending(&now);
  return ::sigismember(&now, SIGPIPE) == 1;
}

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("CallerSignals: one that is raised meanwhile never arrives, and the mask is as before") {
  REQUIRE_FALSE(sigpipe_is_blocked());
  {
    const CallerSignals blocked;
    CHECK(sigpipe_is_blocked());
    ::pthread_kill(::pthread_self(), SIGPIPE);
    CHECK(sigpipe_is_pending());
  }
  CHECK_FALSE(sigpipe_is_blocked());  // and this thread lives
  CHECK_FALSE(sigpipe_is_pending());
}

TEST_CASE("CallerSignals: a thread that blocks it anyway keeps its own") {
  const CallerSignals outer;
  ::pthread_kill(::pthread_self(), SIGPIPE);
  { const CallerSignals inner; }
  CHECK(sigpipe_is_blocked());
  CHECK(sigpipe_is_pending());
}

TEST_CASE("CallerSignals: all are kept away but faults, and those wanted arrive while it waits") {
  const CallerSignals signals;
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGCHLD, SIGPROF}) {
    CHECK(is_blocked(signal));
    CHECK(::sigismember(&signals.while_waiting(), signal) == 0);
  }
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT}) CHECK_FALSE(is_blocked(fault));
  CHECK(::sigismember(&signals.while_waiting(), SIGPIPE) == 1);
}

TEST_SUITE_END();
