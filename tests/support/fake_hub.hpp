#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "flow/channel.hpp"
#include "flow/hub.hpp"

#if defined(__clang__)
#define WEIR_UNCHECKED __attribute__((no_thread_safety_analysis))
#else
#define WEIR_UNCHECKED
#endif

namespace weir::test {

/// A Hub without a thread: the test is the I/O thread, when it says so.
class FakeHub final : public flow::Hub {
 public:
  explicit FakeHub(std::size_t memory_budget = std::size_t{64} << 20,
                   const detail::Clock& time = detail::Clock::steady())
      : Hub(memory_budget, time) {}

  void ring() noexcept override { rung_.store(true); }
  /// Whether the bell rang since the last call.
  bool silence() noexcept { return rung_.exchange(false); }

  /// Runs `call` in the role of the I/O thread.
  template <class Call>
  decltype(auto) as_io(Call&& call) {
    const Role role(io);
    return call();
  }

  /// One turn: what readers left, then their wake-ups.
  void turn() {
    silence();
    as_io([this] {
      io.assert_here();
      process();
      flush();
    });
  }
  /// Turns until the bell stays silent: what has not happened by now will not.
  void run_until_idle() {
    do turn();
    while (rung_.load());
  }
  /// What a driver does when it goes.
  void shut() {
    as_io([this] {
      io.assert_here();
      close();
    });
  }

 private:
  /// Has the role while it lives, unless this thread had it before. Beyond clang's analysis: who
  /// needs the role says assert_here().
  class Role {
   public:
    explicit Role(detail::ThreadRole& role) noexcept WEIR_UNCHECKED : role_(role),
                                                                      had_(role.held_here()) {
      if (!had_) role_.acquire();
    }
    Role(const Role&) = delete;
    Role& operator=(const Role&) = delete;
    ~Role() WEIR_UNCHECKED {
      if (!had_) role_.release();
    }

   private:
    detail::ThreadRole& role_;
    const bool had_;
  };

  std::atomic<bool> rung_{false};
};

/// The transport of one Channel, as libcurl behaves: bytes that were refused are held, and
/// delivered on resume, before anything that came after them.
/// Thread-safety: the test thread. Lifetime: keeps its Channel.
class FakeSource : public flow::Producer {
 public:
  FakeSource(FakeHub& hub, std::shared_ptr<flow::Channel> channel)
      : hub_(hub), channel_(std::move(channel)) {
    hub_.as_io([this] { channel_->attach(this); });
  }
  FakeSource(const FakeSource&) = delete;
  FakeSource& operator=(const FakeSource&) = delete;
  virtual ~FakeSource() {
    hub_.as_io([this] { channel_->attach(nullptr); });
  }

  void open() {
    hub_.as_io([this] { channel_->open(); });
  }
  /// Offers `bytes` in one write. What is refused is held, and so is what comes after it.
  flow::Channel::Offer send(std::string_view bytes, bool completes = false) {
    held_.push_back({std::string(bytes), completes});
    return deliver();
  }
  /// As a transport that tries again without having been resumed.
  flow::Channel::Offer deliver() {
    return hub_.as_io([this] {
      while (!held_.empty()) {
        const Write& write = held_.front();
        const Bytes bytes(reinterpret_cast<const std::byte*>(write.bytes.data()),
                          write.bytes.size());
        if (channel_->offer(bytes, write.completes) == flow::Channel::Offer::paused) {
          return flow::Channel::Offer::paused;
        }
        held_.pop_front();
      }
      if (last_) std::exchange(last_, nullptr)(*channel_);
      return flow::Channel::Offer::accepted;
    });
  }
  /// The end, after what is held.
  void end() {
    finish([](flow::Channel& channel) { channel.end(); });
  }
  void fail(Failure failure) {
    finish([failure = std::move(failure)](flow::Channel& channel) { channel.fail(failure); });
  }
  /// The failure, ahead of what is held: as when a deadline passes while the body is paused.
  void fail_now(Failure failure) {
    held_.clear();
    fail(std::move(failure));
  }

  flow::Channel& channel() const noexcept { return *channel_; }
  bool paused() const { return channel_->paused(); }
  std::size_t held() const noexcept { return held_.size(); }  ///< Writes refused and to come.
  int resumed() const noexcept { return resumed_; }           ///< Times.
  int cancelled() const noexcept { return cancelled_; }       ///< Times: at most one.

  void resume_transfer() override {
    ++resumed_;
    deliver();
  }
  void cancel_transfer() override {
    ++cancelled_;
    held_.clear();
    last_ = nullptr;
  }

 protected:
  FakeHub& hub_;

 private:
  struct Write {
    std::string bytes;
    bool completes;
  };

  void finish(std::function<void(flow::Channel&)> last) {
    last_ = std::move(last);
    if (held_.empty()) deliver();
  }

  const std::shared_ptr<flow::Channel> channel_;
  std::deque<Write> held_;
  std::function<void(flow::Channel&)> last_;
  int resumed_ = 0;
  int cancelled_ = 0;
};

}  // namespace weir::test
