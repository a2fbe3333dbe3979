#include "api/channel_stream.hpp"

#include <utility>

#include "base/url_text.hpp"

namespace weir::detail {

ChannelStream::ChannelStream(std::shared_ptr<net::Exchange> exchange, std::stop_token stop,
                             std::shared_ptr<flow::Continuations> continuations)
    : exchange_(std::move(exchange)),
      continuations_(std::move(continuations)),
      url_(without_credentials(exchange_->request.url)) {
  if (stop.stop_possible()) stop_.emplace(std::move(stop), Cancel{exchange_.get()});
}

ChannelStream::~ChannelStream() {
  if (!ended_) exchange_->cancel();
}

/// Runs `call`. A failure that knows no URL, since it began on this side, gets ours; a stop that
/// comes after any failure changes nothing, so nothing listens for it any more.
template <class Call>
auto ChannelStream::located(Call call) {
  try {
    return call();
  } catch (const Error& error) {
    stop_.reset();
    if (!error.url().empty()) throw;
    Failure ours = error.failure();
    ours.url = url_;
    ours.status = status_;
    ours.bytes_received = stats().received;
    throw Error(std::move(ours));
  }
}

net::Head& ChannelStream::wait_for_head() {
  located([this] { return exchange_->wait_open(flow::Wait::for_ever()); });
  net::Head& head = exchange_->head;
  url_ = head.url;
  status_ = head.status;
  length_ = head.length;
  return head;
}

ReadResult ChannelStream::pull(std::size_t max, const flow::Wait& wait) {
  if (ended_) return {.status = ReadStatus::end};
  ReadResult result = located([&] { return exchange_->take(max, wait); });
  if (result.status == ReadStatus::end) {
    ended_ = true;
    stop_.reset();
  }
  return result;
}

void ChannelStream::enlist(flow::Waiter& waiter) noexcept {
  exchange_->begin_reading();
  exchange_->enlist(waiter);
}

BodyStats ChannelStream::stats() const noexcept {
  BodyStats stats = exchange_->stats();
  stats.decoded = stats.drained;
  return stats;
}

Headers ChannelStream::trailers() const { return ended_ ? exchange_->trailers : Headers(); }

Failure ChannelStream::failure(errc code, std::string detail) const {
  Failure failure = Stream::failure(code, std::move(detail));
  failure.url = url_;
  failure.status = status_;
  return failure;
}

}  // namespace weir::detail
