#include "harness/opening_connection.hpp"

#include <algorithm>
#include <string_view>

#include "harness/http1_connection.hpp"
#include "harness/http2_connection.hpp"

namespace weir::harness {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0";  // the rest is HTTP/2's to check

}  // namespace

Wish OpeningConnection::drive(std::uint32_t events, Clock::time_point now) {
  if (became_) return became_->drive(events, now);
  const IoResult got = stream_->read(context_.scratch);
  if (got.status == IoResult::Status::blocked) return {};
  if (got.status == IoResult::Status::closed) return {Wish::Kind::closed, {}};
  ahead_.append(reinterpret_cast<const char*>(context_.scratch.data()), got.bytes);

  const Stream::Protocol chosen = stream_->protocol();
  const std::string_view begin = std::string_view(ahead_).substr(0, kPreface.size());
  const bool may_be_http2 = chosen != Stream::Protocol::http1 && kPreface.starts_with(begin);
  if (chosen == Stream::Protocol::http2 || (may_be_http2 && begin.size() == kPreface.size())) {
    became_ = std::make_unique<Http2Connection>(std::move(fd_), std::move(stream_), context_,
                                                std::move(ahead_));
  } else if (!may_be_http2) {
    became_ = std::make_unique<Http1Connection>(std::move(fd_), std::move(stream_), context_,
                                                std::move(ahead_));
  } else {
    return {Wish::Kind::again, {}};
  }
  return became_->drive(events, now);
}

}  // namespace weir::harness
