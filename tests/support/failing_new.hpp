#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <new>

namespace weir::test {

#if defined(__clang__) && defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEIR_KEEP_NEW  // its runtime allows no replacement
#endif
#endif
#if defined(WEIR_KEEP_NEW)
inline constexpr bool kCanFailNew = false;
#else
/// False where allocations cannot be made to fail; such tests are then skipped.
inline constexpr bool kCanFailNew = true;
#endif

/// How many more calls of `operator new` succeed on this thread before one fails; negative: all
/// do. Needs failing_new.cpp in the same program.
inline thread_local int allocations_left = -1;
/// The same for all of weir's I/O threads together.
inline std::atomic<int> io_allocations_left{-1};

/// Runs `run(n)` for n = 0, 1, ... with allocation n of this thread failing, until none is left to
/// fail. Checks that each failure comes out as std::bad_alloc; returns their number. `run` must
/// not assert: doctest allocates too.
template <class Run>
int fail_each_allocation(Run run) {
  for (int n = 0;; ++n) {
    CAPTURE(n);
    bool thrown = false;
    allocations_left = n;
    try {
      run(n);
    } catch (const std::bad_alloc&) {
      thrown = true;
    } catch (...) {
      allocations_left = -1;
      throw;
    }
    const bool failed = allocations_left < 0;
    allocations_left = -1;
    CHECK(thrown == failed);
    if (!failed) return n;
  }
}

}  // namespace weir::test
