#pragma once

#include <algorithm>
#include <cstddef>

namespace weir::flow {

/// Marks of one Channel, in bytes; see `resolve()` for the rules.
struct Watermarks {
  std::size_t high = std::size_t{4} << 20;
  std::size_t low = std::size_t{1} << 20;
  std::size_t unread_high = std::size_t{256} << 10;

  /// Combines a request's marks (0: not set) with the client's. `high` alone lowers `low` to at
  /// most a quarter of it (at least 1); so does a client whose `low` is the default, which counts
  /// as not set. `unread_high` is never above `high`. Throws Error invalid_argument for an explicit
  /// low >= high, and for a zero in `client`.
  static Watermarks resolve(Watermarks client, std::size_t high, std::size_t low);
};

/// A quarter of a high water mark, but at least one byte: what `low` is where nothing else says.
constexpr std::size_t quarter(std::size_t high) noexcept {
  return std::max<std::size_t>(1, high / 4);
}

}  // namespace weir::flow
