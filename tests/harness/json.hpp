#pragma once

#include <cctype>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::harness::test {

/// A JSON value. Reads strictly (RFC 8259), apart from the ranges of numbers and of \u, of which
/// only those below U+0080 are made characters: others stay as they are written.
/// Throws std::runtime_error.
class Json {
 public:
  static Json parse(std::string_view text) {
    Json value = take_value(text);
    if (!text.empty()) fail("more after the value", text);
    return value;
  }

  bool is_null() const { return literal_ == "null"; }
  /// Of "true", "false", "null" or a number, as written.
  const std::string& literal() const { return literal_; }
  /// Of a string.
  const std::string& text() const { return text_; }
  double number() const { return std::strtod(literal_.c_str(), nullptr); }
  std::size_t size() const { return elements_.size(); }
  const Json& operator[](std::size_t i) const { return elements_.at(i); }
  const Json& operator[](std::string_view key) const {
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      if (keys_[i] == key) return elements_.at(i);
    }
    throw std::runtime_error("no field " + std::string(key));
  }
  /// The names of an object's fields, in order, with a blank between.
  std::string keys() const {
    std::string all;
    for (const std::string& key : keys_) all += all.empty() ? key : ' ' + key;
    return all;
  }

 private:
  [[noreturn]] static void fail(const char* why, std::string_view at) {
    throw std::runtime_error("JSON: " + std::string(why) + " at: " + std::string(at.substr(0, 40)));
  }
  static bool take(std::string_view& text, std::string_view token) {
    if (!text.starts_with(token)) return false;
    text.remove_prefix(token.size());
    return true;
  }
  static void expect(std::string_view& text, std::string_view token) {
    if (!take(text, token)) fail(("no " + std::string(token)).c_str(), text);
  }

  static Json take_value(std::string_view& text) {
    Json value;
    if (take(text, "{")) {
      value.take_elements(text, "}", true);
    } else if (take(text, "[")) {
      value.take_elements(text, "]", false);
    } else if (text.starts_with('"')) {
      value.text_ = take_string(text);
    } else {
      value.literal_ = take_literal(text);
    }
    return value;
  }
  void take_elements(std::string_view& text, std::string_view end, bool named) {
    if (take(text, end)) return;
    do {
      if (named) {
        keys_.push_back(take_string(text));
        expect(text, ":");
      }
      elements_.push_back(take_value(text));
    } while (take(text, ","));
    expect(text, end);
  }
  static std::string take_literal(std::string_view& text) {
    for (const std::string_view word : {"true", "false", "null"}) {
      if (take(text, word)) return std::string(word);
    }
    std::size_t size = 0;
    while (size < text.size() && std::string_view("0123456789.-").find(text[size]) != text.npos) {
      ++size;
    }
    if (size == 0) fail("no value", text);
    const std::string number(text.substr(0, size));
    text.remove_prefix(size);
    return number;
  }
  static std::string take_string(std::string_view& text) {
    expect(text, "\"");
    std::string out;
    while (!take(text, "\"")) {
      if (text.empty() || static_cast<unsigned char>(text.front()) < ' ') fail("bad string", text);
      if (text.front() == '\\') {
        out += take_escape(text);
      } else {
        out += text.front();
        text.remove_prefix(1);
      }
    }
    return out;
  }
  static std::string take_escape(std::string_view& text) {
    for (const auto& [escape, character] : {std::pair("\\\"", "\""), std::pair("\\\\", "\\"),
                                            std::pair("\\n", "\n"), std::pair("\\t", "\t")}) {
      if (take(text, escape)) return character;
    }
    const std::string code(text.substr(0, 6));
    if (code.size() < 6 || code[1] != 'u') fail("bad escape", text);
    text.remove_prefix(6);
    const auto value = std::strtoul(code.c_str() + 2, nullptr, 16);
    return value < 128 ? std::string(1, static_cast<char>(value)) : code;
  }

  std::string literal_;
  std::string text_;
  std::vector<std::string> keys_;
  std::vector<Json> elements_;
};

}  // namespace weir::harness::test
