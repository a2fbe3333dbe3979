#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "sse/parser.hpp"
#include "support/utf8_by_the_book.hpp"

// What a stream means, in whatever pieces it comes: shared by the tests and the fuzzer, so without
// a test framework.

namespace weir::test {

/// All that a parser tells of a stream.
struct Told {
  struct Item {
    bool comment = false;
    std::string type{};
    std::string data{};
    std::string id{};

    bool operator==(const Item&) const = default;
  };

  std::vector<Item> items{};
  std::string last_event_id{};
  std::optional<std::chrono::milliseconds> retry{};
  bool too_large = false;

  bool operator==(const Told&) const = default;
};

inline Told::Item event(std::string data, std::string type = "message", std::string id = {}) {
  return {false, std::move(type), std::move(data), std::move(id)};
}
inline Told::Item comment(std::string text) { return {true, {}, std::move(text), {}}; }

/// Takes everything that is there.
inline void drain(sse::Parser& parser, Told& told) {
  using Item = sse::Parser::Item;
  while (true) {
    switch (parser.next()) {
      case Item::more: return;
      case Item::too_large: told.too_large = true; return;
      case Item::comment: told.items.push_back(comment(parser.take_comment())); break;
      case Item::event: {
        Event taken = parser.take_event();
        told.items.push_back(
            event(std::move(taken.data), std::move(taken.type), std::move(taken.id)));
      }
    }
  }
}

/// Each piece is gone when the next one comes, as it is where bytes come from the network.
inline Told parse(const std::vector<std::string_view>& pieces, const SseLimits& limits = {}) {
  sse::Parser parser(limits);
  parser.report_comments();
  Told told;
  for (const std::string_view piece : pieces) {
    std::vector<char> copy(piece.begin(), piece.end());
    parser.feed({copy.data(), copy.size()});
    drain(parser, told);
  }
  told.last_event_id = parser.last_event_id();
  told.retry = parser.retry();
  return told;
}

/// The same without a parser: decodes all of it, cuts it into lines, and does what the standard
/// says, in its order. No limits.
class ByTheBook {
 public:
  static Told parse(std::string_view bytes) {
    if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
    const std::string text = decoded_by_the_book(bytes);
    ByTheBook book;
    std::string line;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\r' && text[i] != '\n') {
        line += text[i];
        continue;
      }
      if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
      book.process(line);
      line.clear();
    }
    return book.told_;
  }

 private:
  void process(const std::string& line) {
    if (line.empty()) return dispatch();
    const std::size_t colon = line.find(':');
    std::string value = colon == std::string::npos ? "" : line.substr(colon + 1);
    if (!value.empty() && value[0] == ' ') value.erase(0, 1);
    if (colon == 0) {
      told_.items.push_back(comment(value));
    } else {
      process_field(line.substr(0, colon), value);
    }
  }
  void process_field(const std::string& name, const std::string& value) {
    if (name == "event") type_ = value;
    if (name == "data") data_ += value + "\n";
    if (name == "id" && value.find('\0') == std::string::npos) id_ = value;
    if (name == "retry" && !value.empty() &&
        value.find_first_not_of("0123456789") == std::string::npos) {
      constexpr std::int64_t kMost = (std::int64_t{1} << 31) - 1;
      const auto digits = value.substr(std::min(value.find_first_not_of('0'), value.size() - 1));
      told_.retry = std::chrono::milliseconds(
          digits.size() > 12 ? kMost : std::min<std::int64_t>(kMost, std::stoll(digits)));
    }
  }
  void dispatch() {
    told_.last_event_id = id_;
    if (!data_.empty()) {
      data_.pop_back();
      told_.items.push_back(event(data_, type_.empty() ? "message" : type_, id_));
    }
    data_.clear();
    type_.clear();
  }

  Told told_;
  std::string data_;
  std::string type_;
  std::string id_;
};

/// `whole` in pieces of 0 to `most` bytes.
inline std::vector<std::string_view> cut_at_random(std::string_view whole, std::mt19937& random,
                                                   std::size_t most) {
  std::vector<std::string_view> pieces;
  while (!whole.empty()) {
    const std::size_t size = std::min<std::size_t>(whole.size(), random() % (most + 1));
    pieces.push_back(whole.substr(0, size));
    whole.remove_prefix(size);
  }
  return pieces;
}

/// Parses `stream` in one piece, in every two, byte by byte and in random pieces. Returns the
/// pieces of the first way that tells something else; none: all agree.
inline std::vector<std::string_view> disagreement(std::string_view stream, const SseLimits& limits,
                                                  std::mt19937& random) {
  const Told whole = parse({stream}, limits);
  for (std::size_t at = 0; at <= stream.size(); ++at) {
    const std::vector<std::string_view> pieces = {stream.substr(0, at), stream.substr(at)};
    if (parse(pieces, limits) != whole) return pieces;
  }
  for (const std::size_t most : {1u, 2u, 3u, 5u, 16u, 100u}) {
    const auto pieces = cut_at_random(stream, random, most);
    if (parse(pieces, limits) != whole) return pieces;
  }
  return {};
}

}  // namespace weir::test
