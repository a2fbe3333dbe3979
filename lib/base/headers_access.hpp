#pragma once

#include <vector>

#include "weir/headers.hpp"

namespace weir::detail {

/// The fields themselves, for who has checked names and values already and need not copy them.
struct HeadersAccess {
  static std::vector<Field>& fields(Headers& headers) noexcept { return headers.fields_; }
};

}  // namespace weir::detail
