#pragma once

#include <cstdint>
#include <string>

#include "harness/cmd/read_options.hpp"
#include "harness/cmd/read_run.hpp"
#include "weir/fetch.hpp"

namespace weir::harness::cmd {

/// What the whole run took.
struct RunFigures {
  double cpu_seconds = 0;
  std::uint64_t rss_start = 0;  // bytes, after the warm-up; 0: unknown
  std::uint64_t rss_peak = 0;   // bytes
  ClientStats client{};
};

/// The JSON object of `weir-harness read`, in one line without its end.
std::string read_report(const ReadOptions& options, const GroupResult& streams,
                        const GroupResult& active, const RunFigures& figures);

/// True if every reader came to its end.
bool all_ok(const GroupResult& streams, const GroupResult& active);

}  // namespace weir::harness::cmd
