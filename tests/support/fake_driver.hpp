#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "net/driver.hpp"
#include "support/fake_hub.hpp"

namespace weir::test {

/// One exchange in the hands of the test, which plays the server.
class FakeTransfer final : public FakeSource {
 public:
  FakeTransfer(FakeHub& hub, std::shared_ptr<net::Exchange> exchange)
      : FakeSource(hub, exchange), exchange_(std::move(exchange)) {}

  const net::Request& request() const noexcept { return exchange_->request; }
  const net::Exchange& exchange() const noexcept { return *exchange_; }
  /// The response's head, which opens the Channel.
  void head(int status, Headers headers = {}, std::optional<std::uint64_t> length = {});

 private:
  const std::shared_ptr<net::Exchange> exchange_;
};

/// A transport that does what the test says, on the test's own thread:
///
///     driver.start(exchange);
///     auto& x = driver.next();
///     x.head(200);
///     x.send("hello");
///     x.end();
///     driver.run_until_idle();  // readers that wait on other threads are woken here
///
/// Thread-safety: `start()` and `hub()` from any thread; the rest on the test thread.
class FakeDriver final : public net::Driver {
 public:
  explicit FakeDriver(std::size_t memory_budget = std::size_t{64} << 20,
                      const detail::Clock& time = detail::Clock::steady());
  ~FakeDriver() override { stop(); }

  void start(std::shared_ptr<net::Exchange> exchange) override;
  void stop() noexcept override;
  ClientStats stats() const override;
  const std::shared_ptr<flow::Hub>& hub() const noexcept override { return hub_; }

  /// The next exchange in the order they were started; waits for one. Lifetime: the driver's.
  FakeTransfer& next();
  bool has_next() const;
  void run_until_idle() { fake_hub_->run_until_idle(); }
  FakeHub& fake_hub() noexcept { return *fake_hub_; }

 private:
  const std::shared_ptr<FakeHub> fake_hub_;
  const std::shared_ptr<flow::Hub> hub_;  // the same
  std::vector<std::unique_ptr<FakeTransfer>> transfers_;

  mutable std::mutex mutex_;
  std::condition_variable started_;
  std::deque<std::shared_ptr<net::Exchange>> inbox_;  // this and below: guarded by mutex_
  std::uint64_t requests_ = 0;
  bool stopped_ = false;
};

}  // namespace weir::test
