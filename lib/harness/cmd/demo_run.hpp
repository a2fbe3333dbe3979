#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "weir/fetch.hpp"
#include "weir/harness/slow_reader.hpp"

namespace weir::harness::cmd {

/// What the demo shows for each protocol.
struct DemoPlan {
  std::uint64_t size = std::uint64_t{1} << 30;          // bytes
  std::uint64_t stall_after = std::uint64_t{64} << 20;  // bytes
  std::chrono::milliseconds stall_for{3000};

  static constexpr std::uint64_t kSeed = 1;
};

struct DemoProtocol {
  const char* name;
  bool tls;
  HttpVersion version;
};

/// A moment of the transfer, seen from both ends.
struct DemoMoment {
  enum class Phase { reading, stalled, done };

  Phase phase = Phase::reading;
  std::chrono::milliseconds stalled_for{0};
  std::uint64_t server_sent = 0;  // bytes the server got rid of
  BodyStats body{};
};

struct DemoFigures {
  SlowReaderReport report{};
  std::uint64_t rss_growth = 0;    // bytes, at its highest
  std::uint64_t server_ahead = 0;  // bytes sent beyond what was read, when the stall ended
};

/// Reads from a server of its own, in another process, and calls `show` every 100 ms and at each
/// change of phase, on this thread.
/// Throws Error, and what ServerProcess throws.
DemoFigures run_demo(const DemoProtocol& protocol, const DemoPlan& plan,
                     const std::function<void(const DemoMoment&)>& show);

}  // namespace weir::harness::cmd
