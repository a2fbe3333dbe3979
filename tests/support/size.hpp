#pragma once

#include <cstdlib>
#include <string_view>

namespace weir::test {

/// How large a suite runs. `small`: sanitizers; `normal`: every run; `full`: `run.sh --full`.
enum class Size { small, normal, full };

/// True in a build with AddressSanitizer or ThreadSanitizer: figures of memory, speed and
/// wake-ups mean nothing there and are not asserted.
constexpr bool under_sanitizer() noexcept {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  return true;
#else
  return false;
#endif
#else
  return false;
#endif
}

/// The size asked for by WEIR_TEST_SIZE, which under a sanitizer is `normal` at most; without it
/// `small` under a sanitizer, else `normal`.
inline Size test_size() noexcept {
  const char* const set = std::getenv("WEIR_TEST_SIZE");
  const std::string_view word = set != nullptr ? set : "";
  if (word == "small") return Size::small;
  if (word == "normal") return Size::normal;
  if (word == "full") return under_sanitizer() ? Size::normal : Size::full;
  return under_sanitizer() ? Size::small : Size::normal;
}

/// One of three values, by test_size().
template <class T>
T sized(T small, T normal, T full) noexcept {
  const Size size = test_size();
  return size == Size::small ? small : size == Size::normal ? normal : full;
}

}  // namespace weir::test
