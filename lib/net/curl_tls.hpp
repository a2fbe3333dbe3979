#pragma once

#include <curl/curl.h>

#include <optional>

#include "net/driver.hpp"
#include "net/memory_file.hpp"

namespace weir::net {

/// TlsOptions as libcurl takes them: the same for all handles of a driver.
/// Thread-safety: as its `options`. Lifetime: within that of `options`, and longer than the
/// handles'.
class CurlTls {
 public:
  /// Throws Error: invalid_argument for options that mean nothing, unsupported where this libcurl
  /// lacks what they need, resource_exhausted.
  explicit CurlTls(const TlsOptions& options);

  /// Throws as check_option().
  void apply(CURL* easy) const;

 private:
  void apply_authorities(CURL* easy) const;

  const TlsOptions& options_;
  const bool for_proxies_;                 // libcurl speaks TLS to them, too
  std::optional<MemoryFile> authorities_;  // `ca_pem` for a libcurl that wants a file
};

}  // namespace weir::net
