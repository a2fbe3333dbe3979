#include "support/fake_driver.hpp"

#include <utility>

namespace weir::test {

namespace {

void abort(FakeHub& hub, net::Exchange& exchange) {
  hub.as_io([&] {
    exchange.fail({.code = errc::aborted, .detail = "the driver was stopped", .url = {}});
  });
}

}  // namespace

void FakeTransfer::head(int status, Headers headers, std::optional<std::uint64_t> length) {
  hub_.as_io([&] {
    exchange_->head.status = status;
    exchange_->head.headers = std::move(headers);
    exchange_->head.url = exchange_->request.url;
    exchange_->head.version = HttpVersion::http1;
    exchange_->head.length = length;
    exchange_->open();
  });
}

FakeDriver::FakeDriver(std::size_t memory_budget, const detail::Clock& time)
    : fake_hub_(std::make_shared<FakeHub>(memory_budget, time)), hub_(fake_hub_) {}

void FakeDriver::start(std::shared_ptr<net::Exchange> exchange) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return abort(*fake_hub_, *exchange);
  ++requests_;
  inbox_.push_back(std::move(exchange));
  started_.notify_one();
}

void FakeDriver::stop() noexcept {
  const std::lock_guard lock(mutex_);
  if (std::exchange(stopped_, true)) return;
  for (auto& transfer : transfers_) {
    transfer->fail_now({.code = errc::aborted, .detail = "the driver was stopped", .url = {}});
  }
  for (const auto& exchange : std::exchange(inbox_, {})) abort(*fake_hub_, *exchange);
  transfers_.clear();
  fake_hub_->shut();
}

ClientStats FakeDriver::stats() const {
  const flow::HubStats flow = hub_->stats();
  ClientStats stats;
  stats.bytes_received = flow.bytes_received;
  stats.pauses = flow.pauses;
  stats.resumes = flow.resumes;
  stats.cancelled_while_paused = flow.cancelled_while_paused;
  stats.paused = flow.paused;
  stats.queue_memory = flow.queue_memory;
  stats.peak_queue_memory = flow.peak_queue_memory;
  stats.credit_wakeups = flow.rings;
  const std::lock_guard lock(mutex_);
  stats.requests = requests_;
  return stats;
}

FakeTransfer& FakeDriver::next() {
  std::unique_lock lock(mutex_);
  started_.wait(lock, [this] { return !inbox_.empty(); });
  auto exchange = std::move(inbox_.front());
  inbox_.pop_front();
  lock.unlock();
  transfers_.push_back(std::make_unique<FakeTransfer>(*fake_hub_, std::move(exchange)));
  return *transfers_.back();
}

bool FakeDriver::has_next() const {
  const std::lock_guard lock(mutex_);
  return !inbox_.empty();
}

}  // namespace weir::test
