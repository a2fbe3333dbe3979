#include "support/failing_new.hpp"

#include <pthread.h>

#include <array>
#include <cstdlib>
#include <string_view>

// Replaces the global allocator of one test program.
#if !defined(WEIR_KEEP_NEW)

namespace {

bool fails_on_io() {
  auto& left = weir::test::io_allocations_left;
  if (left.load() < 0) return false;
  std::array<char, 16> name{};
  ::pthread_getname_np(::pthread_self(), name.data(), name.size());
  return std::string_view(name.data()) == "weir-io" && left.fetch_sub(1) == 0;
}

}  // namespace

void* operator new(std::size_t size) {
  auto& left = weir::test::allocations_left;
  if ((left >= 0 && left-- == 0) || fails_on_io()) throw std::bad_alloc();
  if (void* const memory = std::malloc(size != 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size != 0 ? size : 1);
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

#endif
