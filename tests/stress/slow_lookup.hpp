#pragma once

#include <cstddef>

namespace weir::test {

/// Name lookups of this program, libcurl's too, find nothing for this host; they take as long as a
/// SlowLookups lives.
inline constexpr const char* kSlowHost = "slow.invalid";
/// A host with two addresses: 127.0.0.1, then 127.0.0.2.
inline constexpr const char* kTwoAddresses = "two.invalid";
/// The same up to 127.0.0.9.
inline constexpr const char* kNineAddresses = "nine.invalid";

/// Hosts whose name ends so are found, at 127.0.0.1, and take as long.
inline constexpr const char* kSlowZone = ".slow.invalid";

/// The thread that last looked up kSlowHost lets SIGUSR1 in.
bool lookup_takes_signals() noexcept;

/// One at a time. A lookup that begins when it is gone does not wait.
class SlowLookups {
 public:
  SlowLookups() noexcept;
  ~SlowLookups();
  SlowLookups(const SlowLookups&) = delete;
  SlowLookups& operator=(const SlowLookups&) = delete;

  // Of kSlowHost and kSlowZone, since the newest was made.
  static std::size_t begun() noexcept;
  static std::size_t under_way() noexcept;
  static std::size_t most_at_once() noexcept;
};

}  // namespace weir::test
