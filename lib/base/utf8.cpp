#include "base/utf8.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace weir::detail {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// The bytes that may follow a first byte: how many, and the range of the first
/// of them. The others are 80 to BF.
struct Follow {
  std::uint8_t count;  // 0: not a first byte of more than one
  std::uint8_t low;
  std::uint8_t high;
};

constexpr std::array<Follow, 256> kFollow = [] {
  std::array<Follow, 256> table{};
  // Whole elements: g++ 12.2 loses members of one of which only some were
  // assigned.
  for (std::size_t byte = 0xC2; byte <= 0xDF; ++byte) table[byte] = {1, 0x80, 0xBF};
  for (std::size_t byte = 0xE0; byte <= 0xEF; ++byte) table[byte] = {2, 0x80, 0xBF};
  for (std::size_t byte = 0xF0; byte <= 0xF4; ++byte) table[byte] = {3, 0x80, 0xBF};
  table[0xE0] = {2, 0xA0, 0xBF};  // shorter forms exist
  table[0xED] = {2, 0x80, 0x9F};  // surrogates
  table[0xF0] = {3, 0x90, 0xBF};
  table[0xF4] = {3, 0x80, 0x8F};  // above U+10FFFF
  return table;
}();

// A machine whose state is a shift: each byte has a word, in which the next state stands where the
// present one says. One load and one shift for each byte, whatever the text.
constexpr std::uint64_t kStart = 0;
constexpr std::uint64_t kWrong = 6;
constexpr std::uint64_t kOneMore = 12;  // any of 80 to BF
constexpr std::uint64_t kTwoMore = 18;
constexpr std::uint64_t kThreeMore = 24;
constexpr std::uint64_t kAfterE0 = 30;
constexpr std::uint64_t kAfterED = 36;
constexpr std::uint64_t kAfterF0 = 42;
constexpr std::uint64_t kAfterF4 = 48;
constexpr std::uint64_t kState = 63;  // mask
constexpr std::size_t kBlock = 64;    // bytes after which ASCII may be skipped again

constexpr std::uint64_t state_after_first(std::size_t byte) {
  if (byte < 0x80) return kStart;
  switch (byte) {
    case 0xE0: return kAfterE0;
    case 0xED: return kAfterED;
    case 0xF0: return kAfterF0;
    case 0xF4: return kAfterF4;
    default: break;
  }
  constexpr std::array<std::uint64_t, 4> kMore = {kWrong, kOneMore, kTwoMore, kThreeMore};
  return kMore[kFollow[byte].count];
}

constexpr std::array<std::uint64_t, 256> kMachine = [] {
  std::array<std::uint64_t, 256> table{};
  for (std::size_t byte = 0; byte < table.size(); ++byte) {
    const auto within = [byte](std::size_t low, std::size_t high, std::uint64_t state) {
      return byte >= low && byte <= high ? state : kWrong;
    };
    table[byte] =
        state_after_first(byte) << kStart | kWrong << kWrong |
        within(0x80, 0xBF, kStart) << kOneMore | within(0x80, 0xBF, kOneMore) << kTwoMore |
        within(0x80, 0xBF, kTwoMore) << kThreeMore | within(0xA0, 0xBF, kOneMore) << kAfterE0 |
        within(0x80, 0x9F, kOneMore) << kAfterED | within(0x90, 0xBF, kTwoMore) << kAfterF0 |
        within(0x80, 0x8F, kTwoMore) << kAfterF4;
  }
  return table;
}();

std::uint64_t state_after(std::string_view bytes) noexcept {
  std::uint64_t state = kStart;
  for (const char c : bytes) state = kMachine[static_cast<std::uint8_t>(c)] >> (state & kState);
  return state & kState;
}

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
    if (at == bytes.size()) return at;
    const std::size_t end = std::min(bytes.size(), at + kBlock);
    const std::uint64_t state = state_after(bytes.substr(at, end - at));
    if (state == kStart) {
      at = end;
    } else if (state != kWrong && end < bytes.size()) {
      at = end - 1;  // the sequence that the block cuts is looked at again
      while (byte_at(bytes, at) < 0xC0) --at;
    } else {
      // What is wrong is in here, or the last sequence is incomplete.
      while (byte_at(bytes, at) < 0x80 || sequence_at(bytes, at).valid) {
        at += byte_at(bytes, at) < 0x80 ? 1 : sequence_at(bytes, at).size;
      }
      return at;
    }
  }
}

void append_utf8(std::string& out, std::string_view bytes) {
  while (true) {
    const std::size_t valid = valid_utf8(bytes);
    out.append(bytes.substr(0, valid));
    bytes.remove_prefix(valid);
    if (bytes.empty()) return;
    // What is wrong comes in runs where the text is in another encoding.
    while (!bytes.empty() && byte_at(bytes, 0) >= 0x80) {
      const Sequence sequence = sequence_at(bytes, 0);
      if (sequence.valid) break;
      out.append(kReplacement);
      bytes.remove_prefix(sequence.size);
    }
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
