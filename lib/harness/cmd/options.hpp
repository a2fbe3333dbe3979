#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace weir::harness::cmd {

/// What is wrong with a command line, in one line for people.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Walks over the arguments of a subcommand: `--name value` or `--name=value`, and what is no
/// option. After `--` nothing is an option.
/// Lifetime: what it returns lives as long as the arguments do.
class Arguments {
 public:
  explicit Arguments(std::span<char* const> args) : args_(args) {}

  /// The next option by its name ("--rate", "-H"), or an operand; nullopt at the end.
  /// Throws UsageError if the option before was given a value that nobody took.
  std::optional<std::string_view> next();
  /// Whether the last `next()` was an option.
  bool is_option() const noexcept { return is_option_; }

  /// The value of the current option. Throws UsageError if it is missing.
  std::string_view text();
  /// A size or rate in bytes, 1 or more: digits, then maybe K, M or G (binary).
  std::uint64_t bytes();
  /// The same, and 0.
  std::uint64_t bytes_or_none();
  std::size_t count(std::size_t least, std::size_t most);
  /// Seconds, which may have a fraction; to the millisecond.
  std::chrono::milliseconds seconds();

 private:
  [[noreturn]] void refuse(std::string_view value, std::string_view wanted) const;

  std::span<char* const> args_;
  std::string_view name_;                  // of the current option
  std::optional<std::string_view> value_;  // given with "=", not taken yet
  bool is_option_ = false;
  bool only_operands_ = false;
};

}  // namespace weir::harness::cmd
