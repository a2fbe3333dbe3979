#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::harness {

/// Undoes %XX. Nullopt if a '%' is not followed by two hex digits.
std::optional<std::string> percent_decoded(std::string_view text);

/// A decimal number without sign, of at most 2^63. Nullopt for anything else.
std::optional<std::uint64_t> decimal(std::string_view text);

/// The parameters of a URL. A route asks for each one it knows; the first thing wrong (a value that
/// cannot be used, a name given twice or never asked for) is kept for `error()`.
/// Thread-safety: one thread.
class Query {
 public:
  explicit Query(std::string_view text);  // without the '?'

  std::optional<std::uint64_t> number(std::string_view name, std::uint64_t least,
                                      std::uint64_t most);
  std::optional<std::string> text(std::string_view name);
  bool flag(std::string_view name);  // "1" or "0"; missing: false
  /// One of `choices`, the first one if missing.
  std::string_view choice(std::string_view name, std::vector<std::string_view> choices);

  /// Keeps `reason` for `error()` unless something was wrong before.
  void fail(std::string reason);
  /// Call after the last question. One line, empty if all is well.
  std::string error() const;

 private:
  struct Parameter {
    std::string name;
    std::string value;
    bool asked;
  };
  const std::string* take(std::string_view name);

  std::vector<Parameter> parameters_;
  std::string error_;
};

}  // namespace weir::harness
