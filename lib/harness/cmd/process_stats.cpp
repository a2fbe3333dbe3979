#include "harness/cmd/process_stats.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace weir::harness::cmd {

std::uint64_t rss_bytes() noexcept {
  const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  std::array<char, 128> text{};
  const auto size = ::read(file, text.data(), text.size() - 1);
  ::close(file);
  const char* const second = size > 0 ? std::strchr(text.data(), ' ') : nullptr;
  if (second == nullptr) return 0;
  static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return std::strtoull(second, nullptr, 10) * page;
}

double cpu_seconds() noexcept {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Ticker::Ticker(std::chrono::milliseconds period, std::function<void()> tick)
    : tick_(std::move(tick)), thread_([this, period](const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (!stop.stop_requested()) {
          tick_();
          wake_.wait_for(lock, stop, period, [] { return false; });
        }
        tick_();
      }) {}

void Ticker::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

std::uint64_t PeakRss::bytes() noexcept {
  const std::uint64_t now = rss_bytes();
  std::uint64_t peak = peak_.load(std::memory_order_relaxed);
  while (now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
  return now > peak ? now : peak;
}

}  // namespace weir::harness::cmd
