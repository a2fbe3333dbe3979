#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>

#include "api/stream.hpp"
#include "net/driver.hpp"

namespace weir::detail {

/// The reading end of an exchange: its response's head, and then its body.
///
/// Destruction cancels the exchange, unless it is over.
/// Thread-safety: as Stream; `wait_for_head()` is the reading thread's.
class ChannelStream final : public Stream {
 public:
  /// A stop request cancels the exchange, at once if there was one before. Who awaits the body
  /// goes on by `continuations`.
  ChannelStream(std::shared_ptr<net::Exchange> exchange, std::stop_token stop,
                std::shared_ptr<flow::Continuations> continuations = {});
  ~ChannelStream() override;

  /// Waits until the response's headers are complete; the head is the caller's then.
  /// Throws the exchange's failure.
  net::Head& wait_for_head();

  /// What its body must be, as RequestInit has it; set before the head is there.
  std::string integrity{};

  /// Once the head is there: what it answers.
  const net::Request& request() const noexcept { return exchange_->request; }
  bool head_ready() const noexcept { return exchange_->head_ready(); }
  void enlist_for_head(flow::Waiter& waiter) noexcept { exchange_->enlist(waiter); }

  ReadResult pull(std::size_t max, const flow::Wait& wait) override;
  bool ready() noexcept override { return ended_ || exchange_->ready(); }
  void enlist(flow::Waiter& waiter) noexcept override;
  bool withdraw(flow::Waiter& waiter) noexcept override { return exchange_->withdraw(waiter); }
  const std::shared_ptr<flow::Continuations>& continuations() const noexcept override {
    return continuations_;
  }
  void expect_whole() noexcept override { exchange_->take_whole(); }
  void cancel() noexcept override { exchange_->cancel(); }
  bool discarded() const noexcept override { return !ended_ && exchange_->discarded(); }
  BodyStats stats() const noexcept override;
  std::optional<std::uint64_t> length() const noexcept override { return length_; }
  Headers trailers() const override;
  Failure failure(errc code, std::string detail) const override;

 private:
  // Only cancels, which posts and never blocks: it runs on whatever thread requested the stop.
  struct Cancel {
    net::Exchange* exchange;
    void operator()() const noexcept { exchange->cancel(); }
  };
  template <class Call>
  auto located(Call call);

  const std::shared_ptr<net::Exchange> exchange_;
  const std::shared_ptr<flow::Continuations> continuations_;
  std::optional<std::stop_callback<Cancel>> stop_;  // empty once the body is over
  std::string url_;                                 // without credentials
  int status_ = 0;                                  // 0 before the head
  std::optional<std::uint64_t> length_;
  bool ended_ = false;  // the end was delivered
};

}  // namespace weir::detail
