#include "base/utf8.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace weir::detail {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// The bytes that may follow a first byte: how many, and the range of the first of them. The
/// others are 80 to BF.
struct Follow {
  std::uint8_t count;  // 0: not a first byte of more than one
  std::uint8_t low;
  std::uint8_t high;
};

constexpr std::array<Follow, 256> kFollow = [] {
  std::array<Follow, 256> table{};
  // Whole elements: g++ 12.2 loses members of one of which only some were assigned.
  for (std::size_t byte = 0xC2; byte <= 0xDF; ++byte) table[byte] = {1, 0x80, 0xBF};
  for (std::size_t byte = 0xE0; byte <= 0xEF; ++byte) table[byte] = {2, 0x80, 0xBF};
  for (std::size_t byte = 0xF0; byte <= 0xF4; ++byte) table[byte] = {3, 0x80, 0xBF};
  table[0xE0] = {2, 0xA0, 0xBF};  // shorter forms exist
  table[0xED] = {2, 0x80, 0x9F};  // surrogates
  table[0xF0] = {3, 0x90, 0xBF};
  table[0xF4] = {3, 0x80, 0x8F};  // above U+10FFFF
  return table;
}();

std::uint8_t byte_at(std::string_view bytes, std::size_t at) noexcept {
  return static_cast<std::uint8_t>(bytes[at]);
}

std::size_t skip_ascii(std::string_view bytes, std::size_t at) noexcept {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::array<std::uint64_t, 8> words;
  while (bytes.size() - at >= sizeof words) {
    std::memcpy(words.data(), bytes.data() + at, sizeof words);
    std::uint64_t any = 0;
    for (const std::uint64_t word : words) any |= word;
    if ((any & kHighBits) != 0) break;
    at += sizeof words;
  }
  while (bytes.size() - at >= sizeof(std::uint64_t)) {
    std::memcpy(words.data(), bytes.data() + at, sizeof(std::uint64_t));
    if ((words[0] & kHighBits) != 0) break;
    at += sizeof(std::uint64_t);
  }
  while (at < bytes.size() && byte_at(bytes, at) < 0x80) ++at;
  return at;
}

struct Sequence {
  std::size_t size;  // bytes: all of them, or the maximal subpart
  bool valid;
};

/// What begins at `at`, which is not ASCII.
Sequence sequence_at(std::string_view bytes, std::size_t at) noexcept {
  const Follow follow = kFollow[byte_at(bytes, at)];
  const std::size_t whole = std::size_t{1} + follow.count;
  const std::size_t most = std::min(whole, bytes.size() - at);
  if (most < 2) return {1, false};
  const std::uint8_t second = byte_at(bytes, at + 1);
  if (second < follow.low || second > follow.high) return {1, false};
  std::size_t size = 2;
  while (size < most && (byte_at(bytes, at + size) & 0xC0) == 0x80) ++size;
  return {size, size == whole};
}

}  // namespace

std::size_t valid_utf8(std::string_view bytes) noexcept {
  std::size_t at = 0;
  while (true) {
    at = skip_ascii(bytes, at);
    // Text that is not English has runs of such sequences.
    while (at < bytes.size() && byte_at(bytes, at) >= 0x80) {
      const Sequence sequence = sequence_at(bytes, at);
      if (!sequence.valid) return at;
      at += sequence.size;
    }
    if (at == bytes.size()) return at;
  }
}

void append_utf8(std::string& out, std::string_view bytes) {
  while (true) {
    const std::size_t valid = valid_utf8(bytes);
    out.append(bytes.substr(0, valid));
    if (valid == bytes.size()) return;
    out.append(kReplacement);
    bytes.remove_prefix(valid + sequence_at(bytes, valid).size);
  }
}

void repair_utf8(std::string& text, std::size_t offset) {
  const std::size_t valid = offset + valid_utf8(std::string_view(text).substr(offset));
  if (valid == text.size()) return;
  const std::string rest = text.substr(valid);
  text.resize(valid);
  append_utf8(text, rest);
}

}  // namespace weir::detail
