#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "net/driver.hpp"

namespace weir::test {

/// A transport without a network: an I/O thread that answers Firehose's URLs (`/bytes/N`,
/// `/status/N`, `/echo`, `/hang`, `/close`) out of memory, as fast as the Channels take it.
///
/// It keeps account of connections as an HTTP/1.1 client would: one for each exchange under way,
/// and those whose exchange was completed are used again.
/// Thread-safety: all members, from any thread.
class PatternDriver final : public net::Driver {
 public:
  explicit PatternDriver(std::size_t memory_budget);
  ~PatternDriver() override;

  void start(std::shared_ptr<net::Exchange> exchange) override;
  void stop() noexcept override;
  ClientStats stats() const override;
  const std::shared_ptr<flow::Hub>& hub() const noexcept override { return hub_; }

  struct Figures {
    std::uint64_t requests = 0;
    std::uint64_t active = 0;
    std::uint64_t blocked = 0;  // active ones whose body is paused
    std::uint64_t connections_opened = 0;
    std::uint64_t idle = 0;   // connections
    std::uint64_t turns = 0;  // of the I/O thread
  };
  /// Waits until `condition` holds, looking again after each turn of the I/O thread.
  void wait_for(const std::function<bool(const Figures&)>& condition) const;
  /// Waits until the I/O thread has acted on every read so far.
  void settle() const;

 private:
  class BellHub;
  class Answer;

  void run();
  bool turn();
  void publish();
  void begin(std::shared_ptr<net::Exchange> exchange);
  detail::TimePoint next_deadline() const;

  std::shared_ptr<BellHub> bell_hub_;
  std::shared_ptr<flow::Hub> hub_;
  std::vector<std::unique_ptr<Answer>> answers_;  // the I/O thread's
  Figures now_;                                   // the same

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<std::shared_ptr<net::Exchange>> inbox_;  // this and below: guarded by mutex_
  Figures published_;
  bool stopping_ = false;

  std::mutex stop_mutex_;  // guards thread_, and the role once the thread is gone
  std::thread thread_;
};

}  // namespace weir::test
