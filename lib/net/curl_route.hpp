#pragma once

#include <string>

#include "net/curl_handle.hpp"
#include "net/driver.hpp"

namespace weir::net {

/// How connections reach their servers, the same for all handles of a driver: through which proxy,
/// over which Unix socket, to which addresses.
/// Thread-safety: as its `options`. Lifetime: within that of `options`, and longer than the
/// handles'.
class CurlRoute {
 public:
  /// Throws Error: invalid_argument for options that mean nothing, unsupported where this libcurl
  /// lacks what they need.
  explicit CurlRoute(const ClientOptions& options);

  /// Throws as check_option().
  void apply(CURL* easy) const;
  /// The proxy that the options name is used for every connection.
  bool has_proxy() const noexcept { return !proxy_.empty(); }

 private:
  const ClientOptions& options_;
  const std::string proxy_;
  CurlList addresses_;
};

}  // namespace weir::net
