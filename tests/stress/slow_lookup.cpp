#include "slow_lookup.hpp"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>

namespace {

std::mutex mutex;
std::condition_variable changed;
bool slow = false;          // guarded by mutex
bool takes_signals = true;  // guarded by mutex
struct Counts {
  std::size_t begun = 0;
  std::size_t under_way = 0;
  std::size_t most = 0;
} counts;  // guarded by mutex

void set_slow(bool now) {
  const std::lock_guard lock(mutex);
  slow = now;
  if (now) counts = {.begun = 0, .under_way = counts.under_way, .most = counts.under_way};
  changed.notify_all();
}

void wait_while_slow() {
  sigset_t blocked;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  std::unique_lock lock(mutex);
  takes_signals = ::sigismember(&blocked, SIGUSR1) == 0;
  ++counts.begun;
  counts.most = std::max(counts.most, ++counts.under_way);
  changed.wait(lock, [] { return !slow; });
  --counts.under_way;
}

}  // namespace

namespace weir::test {

bool lookup_takes_signals() noexcept {
  const std::lock_guard lock(mutex);
  return takes_signals;
}

std::size_t SlowLookups::begun() noexcept {
  const std::lock_guard lock(mutex);
  return counts.begun;
}

std::size_t SlowLookups::under_way() noexcept {
  const std::lock_guard lock(mutex);
  return counts.under_way;
}

std::size_t SlowLookups::most_at_once() noexcept {
  const std::lock_guard lock(mutex);
  return counts.most;
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
  const bool in_zone = name.ends_with(weir::test::kSlowZone);
  if (in_zone) wait_while_slow();
  const int count = in_zone                              ? 1
                    : name == weir::test::kTwoAddresses  ? 2
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
