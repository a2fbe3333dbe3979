#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/export.hpp"

namespace weir {

namespace detail {
struct HeadersAccess;
}

/// One header field. Names keep the spelling they were given or arrived with.
struct Field {
  std::string name;
  std::string value;
  bool operator==(const Field&) const = default;
};

/// Header fields in the order they were added or arrived, duplicates kept. Names
/// compare without regard to ASCII case.
///
/// Values are bytes, of no stated encoding. Spaces and tabs around them are removed.
///
/// Throws Error invalid_argument, and changes nothing, from every member that takes a name or
/// value: a name that is not a token, or a value that holds CR, LF or NUL (at its ends too).
/// Thread-safety: as a std::vector: const members together, others alone.
/// Spec: RFC 9110 section 5; WHATWG fetch, Headers.
class WEIR_API Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<Field> fields);

  /// All values of `name` joined by ", "; nullopt if there is none. Use
  /// `get_all` for Set-Cookie, whose values cannot be joined.
  std::optional<std::string> get(std::string_view name) const;
  std::vector<std::string> get_all(std::string_view name) const;
  bool has(std::string_view name) const;
  /// Replaces every value of `name`, in the place of the first, whose spelling stays.
  void set(std::string_view name, std::string_view value);
  /// Adds one more field at the end.
  void append(std::string_view name, std::string_view value);
  void remove(std::string_view name);

  std::size_t size() const noexcept { return fields_.size(); }
  bool empty() const noexcept { return fields_.empty(); }
  auto begin() const noexcept { return fields_.begin(); }
  auto end() const noexcept { return fields_.end(); }
  bool operator==(const Headers&) const = default;

 private:
  friend struct detail::HeadersAccess;

  std::vector<Field> fields_;
};

}  // namespace weir
