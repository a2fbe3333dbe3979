#pragma once

#include <string_view>

#include "weir/fetch.hpp"

namespace weir::harness::cmd {

/// The value of --http. Throws UsageError.
HttpVersion version_of(std::string_view text);

/// Adds the value of -H, "NAME: VALUE". Throws UsageError.
void add_header(Headers& headers, std::string_view line);

}  // namespace weir::harness::cmd
