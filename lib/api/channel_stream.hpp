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
  /// A stop request cancels the exchange, at once if there was one before.
  ChannelStream(std::shared_ptr<net::Exchange> exchange, std::stop_token stop);
  ~ChannelStream() override;

  /// Waits until the response's headers are complete; the head is the caller's then.
  /// Throws the exchange's failure.
  net::Head& wait_for_head();

  ReadResult pull(std::size_t max, const flow::Wait& wait) override;
  void cancel() noexcept override { exchange_->cancel(); }
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
  std::optional<std::stop_callback<Cancel>> stop_;  // empty once the body is over
  std::string url_;                                 // without credentials
  int status_ = 0;                                  // 0 before the head
  std::optional<std::uint64_t> length_;
  bool ended_ = false;  // the end was delivered
};

}  // namespace weir::detail
