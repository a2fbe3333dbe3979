#include "no_threads.hpp"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>

namespace {

std::atomic<int> famines{0};

}  // namespace

namespace weir::test {

NoThreads::NoThreads() noexcept { famines.fetch_add(1); }
NoThreads::~NoThreads() { famines.fetch_sub(1); }

}  // namespace weir::test

// Stands before the C library's.
extern "C" __attribute__((visibility("default"))) int pthread_create(
    pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
    void* argument) noexcept {
  using Function = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "pthread_create"));
  if (famines.load() > 0) return EAGAIN;
  return real(thread, attributes, start, argument);
}
