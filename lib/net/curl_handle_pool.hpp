#pragma once

#include <cstddef>
#include <vector>

#include "net/curl_handle.hpp"

namespace weir::net {

/// Easy handles between two transfers, so that most requests need not make and set up one.
///
/// A handle here differs from a new one only in options that every exchange sets, and in what
/// libcurl starts anew with each transfer (Curl_pretransfer, Curl_connect).
/// CurlExchange::keeps_handle() says whose are given back.
/// Memory: at most kMost handles, of about 9 KiB each; of 128 KiB at worst, after a long URL and a
/// large head, and since 8.7 a request that the socket did not take at once.
/// Thread-safety: the I/O thread. Lifetime: within that of what the handles share.
class CurlHandlePool {
 public:
  static constexpr std::size_t kMost = 64;

  /// Throws std::bad_alloc.
  CurlHandlePool() { handles_.reserve(kMost); }

  /// The one given back last; null if there is none.
  EasyHandle take() noexcept;
  /// Keeps the handle, which no multi handle has any more, or destroys it if there are kMost.
  void give(EasyHandle handle) noexcept;
  std::size_t size() const noexcept { return handles_.size(); }

 private:
  std::vector<EasyHandle> handles_;
};

}  // namespace weir::net
