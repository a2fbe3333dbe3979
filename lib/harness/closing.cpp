#include "harness/closing.hpp"

#include <sys/socket.h>

#include <algorithm>

namespace weir::harness {
namespace {

constexpr std::chrono::milliseconds kLinger(5000);
constexpr std::chrono::milliseconds kResetWait(100);
constexpr std::chrono::milliseconds kResetPoll(1);
constexpr int kReads = 16;  // before others get their turn

}  // namespace

Closing::Closing(How how, int fd, Stream& stream, Clock::time_point now)
    : how_(how),
      fd_(fd),
      stream_(stream),
      deadline_(now + (how == How::reset ? kResetWait : kLinger)) {
  if (how_ == How::fin) shutdown(fd_, SHUT_WR);
}

Wish Closing::drive(std::span<std::byte> scratch, Clock::time_point now) {
  if (how_ == How::reset) {
    if (now < deadline_ && unacknowledged(fd_) > 0) {
      return {Wish::Kind::wait, std::min(deadline_, now + kResetPoll)};
    }
    reset_on_close(fd_);
    return {Wish::Kind::closed, {}};
  }
  if (now >= deadline_) return {Wish::Kind::closed, {}};
  if (how_ == How::goodbye) {
    if (!stream_.finish()) return {Wish::Kind::wait, {}};
    shutdown(fd_, SHUT_WR);
    how_ = How::fin;
    deadline_ = now + kLinger;
  }
  PlainStream socket(fd_);  // what comes is of no interest, encrypted or not
  for (int i = 0; i < kReads; ++i) {
    const IoResult got = socket.read(scratch);
    if (got.status == IoResult::Status::closed) return {Wish::Kind::closed, {}};
    if (got.status == IoResult::Status::blocked) return {Wish::Kind::wait, deadline_};
  }
  return {Wish::Kind::again, {}};
}

}  // namespace weir::harness
