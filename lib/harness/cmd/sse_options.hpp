#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "weir/fetch.hpp"
#include "weir/sse.hpp"

namespace weir::harness::cmd {

/// The command line of `weir-harness sse`.
struct SseOptions {
  std::string url{};
  std::string method{};  // empty: GET, or POST with data
  std::optional<std::string> data{};
  Headers headers{};
  HttpVersion version = HttpVersion::automatic;
  std::string ca_file{};
  bool verify = true;
  Reconnect reconnect = Reconnect::always;
  std::optional<std::chrono::milliseconds> retry{};         // unset: the library's
  std::optional<std::chrono::milliseconds> idle_timeout{};  // the same
  std::string last_event_id{};
  Overflow overflow = Overflow::block;
  std::optional<std::size_t> max_pending{};                 // unset: the library's
  std::optional<std::chrono::milliseconds> read_timeout{};  // of one wait for an event
  std::chrono::milliseconds delay{0};                       // after each event
  std::optional<std::uint64_t> max_events{};
  bool comments = false;
  bool help = false;

  ClientOptions client() const;
  /// Without its functions.
  EventSourceOptions source() const;
};

/// Ends with a newline.
const char* sse_usage() noexcept;

/// Reads the file of --data. Throws UsageError.
SseOptions sse_options(std::span<char* const> args);

}  // namespace weir::harness::cmd
