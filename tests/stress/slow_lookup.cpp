#include "slow_lookup.hpp"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>

namespace {

std::mutex mutex;
std::condition_variable changed;
bool slow = false;          // guarded by mutex
bool takes_signals = true;  // guarded by mutex

void set_slow(bool now) {
  const std::lock_guard lock(mutex);
  slow = now;
  changed.notify_all();
}

void wait_while_slow() {
  sigset_t blocked;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  std::unique_lock lock(mutex);
  takes_signals = ::sigismember(&blocked, SIGUSR1) == 0;
  changed.wait(lock, [] { return !slow; });
}

}  // namespace

namespace weir::test {

bool lookup_takes_signals() noexcept {
  const std::lock_guard lock(mutex);
  return takes_signals;
}

SlowLookups::SlowLookups() noexcept { set_slow(true); }
SlowLookups::~SlowLookups() { set_slow(false); }

}  // namespace weir::test

// Stands before the C library's.
extern "C" __attribute__((visibility("default"))) int getaddrinfo(const char* node,
                                                                  const char* service,
                                                                  const addrinfo* hints,
                                                                  addrinfo** result) {
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  const std::string_view name = node != nullptr ? node : "";
  if (name == weir::test::kSlowHost) {
    wait_while_slow();
    return EAI_NONAME;
  }
  const int count = name == weir::test::kTwoAddresses    ? 2
                    : name == weir::test::kNineAddresses ? 9
                                                         : 0;
  if (count == 0) return real(node, service, hints, result);
  addrinfo** end = result;
  for (int i = 1; i <= count; ++i) {
    const std::string address = "127.0.0." + std::to_string(i);
    if (const int failed = real(address.c_str(), service, hints, end); failed != 0) return failed;
    while (*end != nullptr) end = &(*end)->ai_next;
  }
  return 0;
}
