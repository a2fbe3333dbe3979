#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>

namespace weir::harness::cmd {

/// "4.06 MiB", "1.00 GiB", "200 B": four digits at most.
inline std::string size_text(std::uint64_t bytes) {
  constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  auto amount = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; amount >= 1023.5 && unit + 1 < kUnits.size(); ++unit) amount /= 1024;
  std::array<char, 32> text{};
  const int decimals = amount < 9.995 ? 2 : amount < 99.95 ? 1 : 0;
  std::snprintf(text.data(), text.size(), "%.*f %s", decimals, amount, kUnits[unit]);
  return text.data();
}

/// "1204 MB/s", in units of 10^6 bytes.
inline std::string rate_text(double bytes_per_second) {
  std::array<char, 32> text{};
  const double rate = bytes_per_second / 1e6;
  std::snprintf(text.data(), text.size(), rate < 9.95 ? "%.1f MB/s" : "%.0f MB/s", rate);
  return text.data();
}

}  // namespace weir::harness::cmd
