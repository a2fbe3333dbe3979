#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <string_view>
#include <vector>

namespace weir::test {

/// `whole` in pieces of `size` characters (> 0), the last one shorter. No empty pieces.
inline std::vector<std::string_view> cut(std::string_view whole, std::size_t size) {
  std::vector<std::string_view> pieces;
  for (std::size_t at = 0; at < whole.size(); at += size) pieces.push_back(whole.substr(at, size));
  return pieces;
}

inline constexpr unsigned kUncut = 1u << 31;

/// Calls `run(pieces)` with `whole` cut at the sizes where parsers and pipes break: 1 to 8, 16,
/// 31, and not at all. Names the size in failed assertions.
template <class Run>
void sweep(std::string_view whole, Run run) {
  for (const std::size_t fragment : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 16u, 31u, kUncut}) {
    CAPTURE(fragment);
    run(cut(whole, fragment));
  }
}

}  // namespace weir::test
