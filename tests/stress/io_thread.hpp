#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "flow/channel.hpp"
#include "flow/hub.hpp"
#include "weir/harness/firehose.hpp"

namespace weir::test {

/// A Hub whose bell wakes a thread.
class BellHub final : public flow::Hub {
 public:
  using Hub::Hub;

  void ring() noexcept override {
    const std::lock_guard lock(mutex_);
    rung_ = true;
    bell_.notify_one();
  }
  /// Waits for the bell, unless `at_once`, and silences it.
  void silence(bool at_once) {
    std::unique_lock lock(mutex_);
    if (!at_once) bell_.wait(lock, [this] { return rung_; });
    rung_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable bell_;
  bool rung_ = false;
};

/// The transport of one Channel: pattern bytes of seed 1, in writes of random sizes, as fast as
/// they are taken.
class PatternSource final : public flow::Producer {
 public:
  PatternSource(std::shared_ptr<flow::Channel> channel, std::uint64_t total, std::uint64_t seed)
      : channel_(std::move(channel)), total_(total), random_(seed) {
    channel_->attach(this);
    channel_->open();
  }
  ~PatternSource() { channel_->attach(nullptr); }

  /// True: there is more to send, and room for it.
  bool pump(int writes) {
    for (; writes > 0 && !done(); --writes) {
      if (size_ == 0) {
        const std::uint64_t most = random_() % 4 == 0 ? 64 : flow::kOneWrite;
        size_ = std::min<std::uint64_t>(1 + random_() % most, total_ - sent_);
        harness::pattern::fill(1, sent_, std::span(buffer_).first(size_));
      }
      paused_ = channel_->offer(std::span(buffer_).first(size_)) == flow::Channel::Offer::paused;
      if (paused_) return false;
      sent_ += std::exchange(size_, 0);
    }
    if (sent_ == total_ && !done()) {
      ended_ = true;
      channel_->end();
    }
    return !done();
  }
  bool done() const noexcept { return ended_ || cancelled > 0; }
  bool paused() const noexcept { return paused_; }

  void resume_transfer() override {
    wrong += !paused_;
    paused_ = false;
    pump(2);
  }
  void cancel_transfer() override { ++cancelled; }

  int cancelled = 0;
  int wrong = 0;  ///< Calls that broke the contract.

 private:
  const std::shared_ptr<flow::Channel> channel_;
  const std::uint64_t total_;
  std::mt19937_64 random_;
  std::uint64_t sent_ = 0;
  std::size_t size_ = 0;
  bool paused_ = false;
  bool ended_ = false;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(flow::kOneWrite);
};

/// A thread that is the I/O thread of a Hub, and feeds its Channels.
class IoThread {
 public:
  IoThread(std::size_t budget, std::uint64_t bytes_each)
      : hub(std::make_shared<BellHub>(budget, detail::Clock::steady())), bytes_each_(bytes_each) {}
  ~IoThread() { stop(); }

  /// Starts serving `channels`, whose transports end after `bytes_each`.
  void start(std::vector<std::shared_ptr<flow::Channel>> channels) {
    thread_ = std::thread([this, channels = std::move(channels)]() mutable { run(channels); });
  }
  /// Ends it, whatever is under way. What `wrong` and `cancelled` count is complete then.
  void stop() {
    if (!thread_.joinable()) return;
    stopping_.store(true);
    hub->ring();
    thread_.join();
  }

  const std::shared_ptr<BellHub> hub;
  int wrong = 0;
  int cancelled = 0;

 private:
  void run(std::vector<std::shared_ptr<flow::Channel>>& channels) {
    hub->io.acquire();
    std::vector<std::unique_ptr<PatternSource>> sources;
    for (auto& channel : channels) {
      const std::uint64_t seed = sources.size() + 1;
      sources.push_back(std::make_unique<PatternSource>(std::move(channel), bytes_each_, seed));
    }
    for (bool busy = true; !stopping_.load();) {
      hub->silence(busy);
      hub->process();
      busy = false;
      for (auto& source : sources) {
        if (!source->done() && !source->paused()) busy |= source->pump(4);
      }
      hub->flush();
      const auto now = hub->stats();
      wrong += now.pauses != now.resumes + now.cancelled_while_paused + paused(sources);
    }
    for (const auto& source : sources) {
      wrong += source->wrong + (source->cancelled > 1);
      cancelled += source->cancelled;
    }
    sources.clear();
    hub->close();
    hub->io.release();
  }

  static std::uint64_t paused(const std::vector<std::unique_ptr<PatternSource>>& sources) {
    std::uint64_t count = 0;
    for (const auto& source : sources) count += source->paused() && !source->done();
    return count;
  }

  const std::uint64_t bytes_each_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace weir::test
