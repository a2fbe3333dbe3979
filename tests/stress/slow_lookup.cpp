#include "slow_lookup.hpp"

#include <dlfcn.h>
#include <netdb.h>

#include <condition_variable>
#include <mutex>
#include <string_view>

namespace {

std::mutex mutex;
std::condition_variable changed;
bool slow = false;  // guarded by mutex

void set_slow(bool now) {
  const std::lock_guard lock(mutex);
  slow = now;
  changed.notify_all();
}

void wait_while_slow() {
  std::unique_lock lock(mutex);
  changed.wait(lock, [] { return !slow; });
}

}  // namespace

namespace weir::test {

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
  if (name != weir::test::kTwoAddresses) return real(node, service, hints, result);
  const int failed = real("127.0.0.1", service, hints, result);
  if (failed != 0) return failed;
  addrinfo* last = *result;
  while (last->ai_next != nullptr) last = last->ai_next;
  return real("127.0.0.2", service, hints, &last->ai_next);
}
