#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace weir::harness::cmd {

/// Bytes of physical memory this process has mapped. Linux counts them to some pages per thread.
/// 0 if the system does not tell.
std::uint64_t rss_bytes() noexcept;

/// Seconds of CPU, user and system, that all threads of this process have used.
double cpu_seconds() noexcept;

/// Calls `tick` on a thread of its own every `period` until destroyed, and once more then.
/// `tick` must not throw.
class Ticker {
 public:
  Ticker(std::chrono::milliseconds period, std::function<void()> tick);
  ~Ticker() { stop(); }
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  /// Returns after the last tick.
  void stop();

 private:
  std::function<void()> tick_;
  std::mutex mutex_;  // guards nothing: a condition variable needs one
  std::condition_variable_any wake_;
  std::jthread thread_;
};

/// The highest `rss_bytes()` seen in samples taken every 5 ms while it lives.
/// Thread-safety: `bytes()` from any thread.
class PeakRss {
 public:
  std::uint64_t bytes() noexcept;

 private:
  std::atomic<std::uint64_t> peak_{0};
  Ticker ticker_{std::chrono::milliseconds(5), [this] { bytes(); }};
};

}  // namespace weir::harness::cmd
