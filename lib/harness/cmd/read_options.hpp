#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "weir/fetch.hpp"
#include "weir/harness/slow_reader.hpp"

namespace weir::harness::cmd {

/// The command line of `weir-harness read`.
struct ReadOptions {
  std::string url{};
  SlowReaderOptions pace{};  // of the streams; the active readers have none
  std::size_t streams = 1;
  std::size_t active = 0;
  HttpVersion version = HttpVersion::automatic;
  std::size_t high_water = 0;  // 0: the client's, as in RequestInit
  std::size_t low_water = 0;
  std::string ca_file{};
  bool verify = true;
  bool decode = true;
  std::chrono::milliseconds total_timeout{0};
  std::optional<std::chrono::milliseconds> idle_timeout{};  // unset: the library's
  std::chrono::milliseconds consumer_timeout{0};
  Headers headers{};
  std::string out{};  // file; empty: none
  bool help = false;

  ClientOptions client() const;
  RequestInit request(std::stop_token stop) const;
};

/// Ends with a newline.
const char* read_usage() noexcept;

/// Throws UsageError.
ReadOptions read_options(std::span<char* const> args);

}  // namespace weir::harness::cmd
