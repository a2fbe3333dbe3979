#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "support/fake_hub.hpp"
#include "support/manual_clock.hpp"
#include "weir/error.hpp"

namespace weir::test {

using Offer = flow::Channel::Offer;

/// One hub and any number of Channels on it, all on the test thread.
struct Flow {
  explicit Flow(std::size_t budget = std::size_t{64} << 20)
      : hub(std::make_shared<FakeHub>(budget, clock)) {}
  ~Flow() { hub->shut(); }

  std::shared_ptr<flow::Channel> channel(flow::Watermarks marks = {}) const {
    return std::make_shared<flow::Channel>(hub, marks);
  }
  std::unique_ptr<FakeSource> source(flow::Watermarks marks = {}) const {
    return std::make_unique<FakeSource>(*hub, channel(marks));
  }
  /// pauses == resumes + cancelled_while_paused + paused, which has no other way to hold than this.
  void check_counters(std::uint64_t paused) const {
    const auto now = hub->stats();
    CHECK(now.paused == paused);
    CHECK(now.pauses == now.resumes + now.cancelled_while_paused + paused);
  }

  ManualClock clock;
  std::shared_ptr<FakeHub> hub;
};

inline ReadResult try_take(flow::Channel& channel, std::size_t max = std::size_t{1} << 20) {
  return channel.take(max, flow::Wait::never());
}

/// Takes until nothing is there, or `most` bytes have come.
inline std::string drain(flow::Channel& channel, std::size_t most = std::size_t{1} << 30) {
  std::string all;
  while (all.size() < most) {
    const ReadResult result = try_take(channel, most - all.size());
    if (!result) break;
    all += result.chunk.text();
  }
  return all;
}

/// The errc that `call` throws; errc{} if it throws nothing.
inline errc thrown_by(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return static_cast<errc>(error.code().value());
  }
  return errc{};
}

}  // namespace weir::test
