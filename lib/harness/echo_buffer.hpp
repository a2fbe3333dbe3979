#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "harness/body_cursor.hpp"

namespace weir::harness {

/// An echo's bytes between the request and the response.
/// Memory: kRoom while bytes wait.
struct EchoBuffer {
  static constexpr std::size_t kRoom = 64 * 1024;

  explicit EchoBuffer(const BodyPlan& plan, Clock::time_point now) : rate(plan.rate, 0, now) {}
  std::size_t room() const noexcept { return kRoom - bytes.size(); }

  std::string bytes;
  RateLimit rate;
  std::optional<Clock::time_point> ready_at;  // while the rate holds it
};

}  // namespace weir::harness
