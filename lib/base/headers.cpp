#include "weir/headers.hpp"

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"
#include "weir/error.hpp"

namespace weir {
namespace {

// A name that is not a token is not quoted: it may be what an attacker sent, or hold a secret.
void check_name(std::string_view name) {
  if (detail::is_token(name)) return;
  throw Error({.code = errc::invalid_argument, .detail = "header name is not a token"});
}

Field checked(std::string_view name, std::string_view value) {
  check_name(name);
  if (detail::has_line_break(value)) {
    throw Error({.code = errc::invalid_argument,
                 .detail = "value of header " + std::string(name) + " holds CR, LF or NUL"});
  }
  return {std::string(name), std::string(detail::trim(value))};
}

auto is_called(std::string_view name) {
  return [name](const Field& field) { return detail::equal_ignoring_case(field.name, name); };
}

}  // namespace

Headers::Headers(std::initializer_list<Field> fields) {
  fields_.reserve(fields.size());
  for (const auto& field : fields) append(field.name, field.value);
}

std::optional<std::string> Headers::get(std::string_view name) const {
  check_name(name);
  std::optional<std::string> joined;
  for (const auto& field : fields_) {
    if (!is_called(name)(field)) continue;
    if (joined) {
      joined->append(", ").append(field.value);
    } else {
      joined = field.value;
    }
  }
  return joined;
}

std::vector<std::string> Headers::get_all(std::string_view name) const {
  check_name(name);
  std::vector<std::string> values;
  for (const auto& field : fields_) {
    if (is_called(name)(field)) values.push_back(field.value);
  }
  return values;
}

bool Headers::has(std::string_view name) const {
  check_name(name);
  return std::any_of(fields_.begin(), fields_.end(), is_called(name));
}

void Headers::set(std::string_view name, std::string_view value) {
  auto field = checked(name, value);  // a copy: the arguments may be views of our own fields
  const auto same = is_called(field.name);
  const auto first = std::find_if(fields_.begin(), fields_.end(), same);
  if (first == fields_.end()) {
    fields_.push_back(std::move(field));
    return;
  }
  first->value = std::move(field.value);
  fields_.erase(std::remove_if(first + 1, fields_.end(), same), fields_.end());
}

void Headers::append(std::string_view name, std::string_view value) {
  fields_.push_back(checked(name, value));
}

void Headers::remove(std::string_view name) {
  check_name(name);
  const std::string own(name);  // `name` may be a view of one of our own fields
  std::erase_if(fields_, is_called(own));
}

}  // namespace weir
