#include "harness/cmd/request_options.hpp"

#include <array>
#include <string>
#include <utility>

#include "harness/cmd/options.hpp"

namespace weir::harness::cmd {

HttpVersion version_of(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, HttpVersion>, 4> kVersions{{
      {"1", HttpVersion::http1},
      {"2", HttpVersion::http2},
      {"2pk", HttpVersion::http2_prior_knowledge},
      {"3", HttpVersion::http3},
  }};
  for (const auto& [name, version] : kVersions) {
    if (name == text) return version;
  }
  throw UsageError("option '--http' needs 1, 2, 2pk or 3, not '" + std::string(text) + "'");
}

void add_header(Headers& headers, std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) {
    throw UsageError("option '-H' needs 'NAME: VALUE', not '" + std::string(line) + "'");
  }
  try {
    headers.append(line.substr(0, colon), line.substr(colon + 1));
  } catch (const Error& error) {
    throw UsageError("option '-H': " + error.detail());
  }
}

}  // namespace weir::harness::cmd
