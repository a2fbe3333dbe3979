#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace weir::detail {

// Unlike <cctype>: no locale, and any char is a valid argument.

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

constexpr char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

constexpr bool is_alpha(char c) noexcept { return to_lower(c) >= 'a' && to_lower(c) <= 'z'; }

/// C0 controls and DEL.
constexpr bool is_control(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == '\x7f';
}

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return to_lower(x) == to_lower(y);
         });
}

/// Removes spaces and tabs from both ends. Spec: RFC 9110 section 5.6.3 (OWS).
constexpr std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

inline constexpr std::array<bool, 256> kTokenCharacters = [] {
  std::array<bool, 256> table{};
  for (int c = 0; c < 128; ++c) {
    const auto character = static_cast<char>(c);
    table[static_cast<std::size_t>(c)] =
        is_alpha(character) || is_digit(character) ||
        std::string_view("!#$%&'*+-.^_`|~").find(character) != std::string_view::npos;
  }
  return table;
}();

/// One or more token characters: what methods and field names are made of.
/// Spec: RFC 9110 section 5.6.2.
constexpr bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return kTokenCharacters[static_cast<unsigned char>(c)];
  });
}

/// CR, LF or NUL, which no field value has (RFC 9110 section 5.5). A plain loop: field values are
/// short, and find_first_of() makes a call for each character.
constexpr bool has_line_break(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

}  // namespace weir::detail
