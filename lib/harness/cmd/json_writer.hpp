#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace weir::harness::cmd {

/// Writes one JSON value, element by element: `object()`, then `field()`s, then `close()`.
/// The caller keeps objects and arrays balanced. Strings may hold any bytes: what is not UTF-8
/// becomes U+FFFD. Numbers that JSON does not know become null.
/// Thread-safety: one thread. Spec: RFC 8259.
class JsonWriter {
 public:
  void object() { open('{', '}'); }
  void array() { open('[', ']'); }
  void close() {
    out_ += ends_.back();
    ends_.pop_back();
  }
  /// Names the element that comes next.
  void key(std::string_view name) {
    separate();
    quote(name);
    out_ += ':';
    named_ = true;
  }

  void value(std::nullptr_t) { raw("null"); }
  void value(bool yes) { raw(yes ? "true" : "false"); }
  void value(std::integral auto number) { raw(std::to_string(number)); }
  void value(double number);
  void value(std::string_view text) {
    separate();
    quote(text);
  }
  void value(const char* text) { value(std::string_view(text)); }
  template <class T>
  void value(const std::optional<T>& maybe) {
    if (maybe)
      value(*maybe);
    else
      value(nullptr);
  }
  template <class T>
  void field(std::string_view name, const T& content) {
    key(name);
    value(content);
  }

  /// What was written; the writer starts anew.
  std::string take() { return std::exchange(out_, {}); }

 private:
  void open(char begin, char end) {
    separate();
    out_ += begin;
    ends_ += end;
  }
  void separate() {
    if (std::exchange(named_, false) || out_.empty()) return;
    if (out_.back() != '{' && out_.back() != '[') out_ += ',';
  }
  void raw(std::string_view text) {
    separate();
    out_ += text;
  }
  void quote(std::string_view text);

  std::string out_;
  std::string ends_;    // closing brackets still to come
  bool named_ = false;  // a key was written, its value not yet
};

/// Bytes of the UTF-8 sequence that `text` starts with, 0 if it starts with none.
/// Spec: Unicode 15, table 3-7.
inline std::size_t utf8_size(std::string_view text) noexcept {
  const auto at = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const auto tail = [&](std::size_t i) { return (at(i) & 0xC0) == 0x80; };
  const unsigned first = at(0);
  const unsigned second = at(1);
  if (first < 0x80) return text.empty() ? 0 : 1;
  if (first < 0xC2 || first > 0xF4 || !tail(1)) return 0;
  if (first < 0xE0) return 2;
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
  if (first < 0xF0) return tail(2) ? 3 : 0;
  if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
  return tail(2) && tail(3) ? 4 : 0;
}

inline void JsonWriter::quote(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out_ += '"';
  while (!text.empty()) {
    const std::size_t size = utf8_size(text);
    const auto code = static_cast<unsigned char>(text.front());
    if (size == 0) {
      out_ += "\\ufffd";
    } else if (code == '"' || code == '\\') {
      (out_ += '\\') += text.front();
    } else if (code == '\n') {
      out_ += "\\n";
    } else if (code < ' ' || code == 127) {
      ((out_ += "\\u00") += kHex[code >> 4]) += kHex[code & 15];
    } else {
      out_ += text.substr(0, size);
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  out_ += '"';
}

// To six decimals, with no zeros at the end. The program sets no locale, so the point is a point.
inline void JsonWriter::value(double number) {
  if (!std::isfinite(number)) return value(nullptr);
  char text[400];  // the longest double has 309 digits before the point
  std::snprintf(text, sizeof text, "%.6f", number);
  std::string_view digits = text;
  while (digits.back() == '0' && digits[digits.size() - 2] != '.') digits.remove_suffix(1);
  raw(digits);
}

}  // namespace weir::harness::cmd
