#include "harness/cmd/options.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace weir::harness::cmd {
namespace {

constexpr double kMaxSeconds = 1e8;  // three years: far from the clock's end

/// The number that `text` is, all of it.
template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  return problem == std::errc() && stop == end ? std::optional(value) : std::nullopt;
}

/// As a power of two; removes it from `text`.
int take_suffix(std::string_view& text) {
  const auto found = std::string_view("KMG").find(text.empty() ? ' ' : text.back());
  if (found == std::string_view::npos) return 0;
  text.remove_suffix(1);
  return 10 * (static_cast<int>(found) + 1);
}

}  // namespace

std::optional<std::string_view> Arguments::next() {
  if (value_) throw UsageError("option '" + std::string(name_) + "' takes no value");
  is_option_ = false;
  if (args_.empty()) return std::nullopt;
  std::string_view arg = args_.front();
  args_ = args_.subspan(1);
  if (arg == "--" && !only_operands_) {
    only_operands_ = true;
    return next();
  }
  is_option_ = !only_operands_ && arg.size() > 1 && arg.front() == '-';
  if (!is_option_) return arg;
  const auto equals = arg.starts_with("--") ? arg.find('=') : std::string_view::npos;
  if (equals != std::string_view::npos) {
    value_ = arg.substr(equals + 1);
    arg = arg.substr(0, equals);
  }
  name_ = arg;
  return arg;
}

std::string_view Arguments::text() {
  if (value_) return *std::exchange(value_, std::nullopt);
  if (args_.empty()) throw UsageError("option '" + std::string(name_) + "' needs a value");
  const std::string_view value = args_.front();
  args_ = args_.subspan(1);
  return value;
}

std::uint64_t Arguments::bytes_or_none() {
  const std::string_view value = text();
  std::string_view digits = value;
  const int shift = take_suffix(digits);
  const auto found = number<std::uint64_t>(digits);
  if (!found || *found > std::numeric_limits<std::uint64_t>::max() >> shift) {
    refuse(value, "bytes, as 65536, 64K, 4M or 1G");
  }
  return *found << shift;
}

std::uint64_t Arguments::bytes() {
  const std::uint64_t value = bytes_or_none();
  if (value == 0) refuse("0", "at least one byte");
  return value;
}

std::size_t Arguments::count(std::size_t least, std::size_t most) {
  const std::string_view value = text();
  const auto found = number<std::size_t>(value);
  if (!found || *found < least || *found > most) {
    refuse(value, "a number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return *found;
}

std::chrono::milliseconds Arguments::seconds() {
  const std::string_view value = text();
  const auto found = number<double>(value);
  if (!found || !(*found >= 0 && *found <= kMaxSeconds)) refuse(value, "seconds, as 5 or 0.25");
  return std::chrono::milliseconds(std::llround(*found * 1000));
}

void Arguments::refuse(std::string_view value, std::string_view wanted) const {
  std::string text = "option '";
  text.append(name_).append("' needs ").append(wanted).append(", not '").append(value) += '\'';
  throw UsageError(text);
}

}  // namespace weir::harness::cmd
