#pragma once

#include <cstddef>
#include <string>

namespace weir {

/// One server-sent event.
/// Spec: WHATWG HTML section 9.2.6.
struct Event {
  std::string type = "message";
  std::string data{};  ///< UTF-8; the values of its `data` fields, joined by line feeds.
  std::string id{};    ///< The last `id` seen in the stream, in this event or before.
};

/// What is refused, with Error too_large. They also bound the memory: see `EventStream`.
struct SseLimits {
  std::size_t line = std::size_t{16} << 20;   ///< bytes, without the line's end
  std::size_t event = std::size_t{16} << 20;  ///< bytes of `data` and `type` together
  /// Bytes. Every event carries a copy, and a reconnection sends it as a header field, which
  /// servers seldom take above 8 KiB.
  std::size_t id = std::size_t{8} << 10;
};

}  // namespace weir
