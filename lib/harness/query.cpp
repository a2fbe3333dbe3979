#include "harness/query.hpp"

#include <algorithm>
#include <charconv>

namespace weir::harness {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// What a client sent, made fit for a one-line message.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text.substr(0, 64)) out += c >= ' ' && c < 127 ? c : '?';
  return out + "'";
}

}  // namespace

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::optional<std::uint64_t> decimal(std::string_view text) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  if (problem != std::errc() || stop != end || value > std::uint64_t{1} << 63) return std::nullopt;
  return value;
}

Query::Query(std::string_view text) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    if (part.empty()) continue;
    const std::size_t equals = part.find('=');
    const auto value = equals == part.npos ? std::optional<std::string>("")
                                           : percent_decoded(part.substr(equals + 1));
    std::string name(part.substr(0, equals));
    if (!value) fail("bad percent-encoding in " + quoted(name));
    const bool twice = std::any_of(parameters_.begin(), parameters_.end(),
                                   [&](const Parameter& p) { return p.name == name; });
    if (twice) fail(quoted(name) + " is given twice");
    parameters_.push_back({std::move(name), value.value_or(""), false});
  }
}

std::optional<std::uint64_t> Query::number(std::string_view name, std::uint64_t least,
                                           std::uint64_t most) {
  const std::string* value = take(name);
  if (value == nullptr) return std::nullopt;
  const auto parsed = decimal(*value);
  if (!parsed || *parsed < least || *parsed > most) {
    fail(quoted(name) + " must be a number from " + std::to_string(least) + " to " +
         std::to_string(most) + ", not " + quoted(*value));
    return std::nullopt;
  }
  return parsed;
}

std::optional<std::string> Query::text(std::string_view name) {
  const std::string* value = take(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(*value);
}

bool Query::flag(std::string_view name) {
  const std::string* value = take(name);
  if (value == nullptr || *value == "0") return false;
  if (*value != "1") fail(quoted(name) + " must be 0 or 1, not " + quoted(*value));
  return true;
}

std::string_view Query::choice(std::string_view name, std::vector<std::string_view> choices) {
  const std::string* value = take(name);
  if (value == nullptr) return choices.front();
  const auto found = std::find(choices.begin(), choices.end(), *value);
  if (found != choices.end()) return *found;
  std::string list;
  for (const std::string_view one : choices) list.append(list.empty() ? "" : " or ").append(one);
  fail(quoted(name) + " must be " + list + ", not " + quoted(*value));
  return choices.front();
}

void Query::fail(std::string reason) {
  if (error_.empty()) error_ = std::move(reason);
}

std::string Query::error() const {
  if (!error_.empty()) return error_;
  for (const Parameter& p : parameters_) {
    if (!p.asked && p.name != "tag") return "unknown parameter " + quoted(p.name);
  }
  return "";
}

const std::string* Query::take(std::string_view name) {
  for (Parameter& p : parameters_) {
    if (p.name != name) continue;
    p.asked = true;
    return &p.value;
  }
  return nullptr;
}

}  // namespace weir::harness
