#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir::test {

/// UTF-8 decoded byte by byte, with the state that the standard names: slow, and easy to check.
/// Spec: WHATWG Encoding section 8.1.1.
inline std::string decoded_by_the_book(std::string_view bytes) {
  std::string out;
  std::string sequence;
  std::uint8_t needed = 0;
  std::uint8_t lower = 0x80;
  std::uint8_t upper = 0xBF;
  const auto start = [&](std::uint8_t byte, std::uint8_t more) {
    needed = more;
    sequence = static_cast<char>(byte);
  };
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    if (needed == 0) {
      if (byte <= 0x7F) {
        out += bytes[i];
      } else if (byte >= 0xC2 && byte <= 0xDF) {
        start(byte, 1);
      } else if (byte >= 0xE0 && byte <= 0xEF) {
        if (byte == 0xE0) lower = 0xA0;
        if (byte == 0xED) upper = 0x9F;
        start(byte, 2);
      } else if (byte >= 0xF0 && byte <= 0xF4) {
        if (byte == 0xF0) lower = 0x90;
        if (byte == 0xF4) upper = 0x8F;
        start(byte, 3);
      } else {
        out += "\xEF\xBF\xBD";
      }
      continue;
    }
    const bool fits = byte >= lower && byte <= upper;
    lower = 0x80;
    upper = 0xBF;
    if (!fits) {
      needed = 0;
      out += "\xEF\xBF\xBD";
      --i;  // it is looked at once more
      continue;
    }
    sequence += bytes[i];
    if (--needed == 0) out += sequence;
  }
  if (needed != 0) out += "\xEF\xBF\xBD";
  return out;
}

}  // namespace weir::test
