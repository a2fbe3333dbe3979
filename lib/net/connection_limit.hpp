#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>

namespace weir::net {

/// How many transfers may run at a time, in all and to one origin: each has a connection of its
/// own. libcurl would count as well (CURLMOPT_MAX_TOTAL_CONNECTIONS), but its connect timeout runs
/// while a transfer waits, and its idea of a host is that of the proxy.
/// Memory: a count for each origin that transfers run to, if that is limited.
/// Thread-safety: the I/O thread.
class ConnectionLimit {
 public:
  /// 0: no limit.
  ConnectionLimit(int all, int per_origin) noexcept
      : all_(static_cast<std::size_t>(all)), per_origin_(static_cast<std::size_t>(per_origin)) {}

  /// Whether `take()` and `give()` must be told the origin.
  bool wants_origins() const noexcept { return per_origin_ != 0; }
  /// Nothing more may run, to wherever.
  bool full() const noexcept { return all_ != 0 && taken_ >= all_; }
  /// Counts one more to `origin`; false: none may run now. Throws std::bad_alloc, and has done
  /// nothing.
  bool take(const std::string& origin);
  /// One that was taken is over.
  void give(const std::string& origin) noexcept;

 private:
  const std::size_t all_;
  const std::size_t per_origin_;
  std::size_t taken_ = 0;
  std::unordered_map<std::string, std::size_t> origins_;
};

}  // namespace weir::net
