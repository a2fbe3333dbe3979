#pragma once

#include <span>

#include "harness/connection.hpp"
#include "harness/socket.hpp"

namespace weir::harness {

/// The end of a socket on which all is sent.
///
///   goodbye   the end in the protocol (TLS: close_notify), however long the client makes it wait;
///             then as `fin`.
///   fin       FIN first and close() later: closing with unread bytes would send RST and lose what
///             the client has not read. Reads until the client's FIN, for 5 s at most.
///   reset     RST discards what the client's kernel has not got: gives it 100 ms to get it all.
///
/// Thread-safety: one thread. Lifetime: within that of the descriptor and the stream.
class Closing {
 public:
  enum class How { goodbye, fin, reset };
  Closing(How how, int fd, Stream& stream, Clock::time_point now);

  /// `closed`: close the descriptor now.
  Wish drive(std::span<std::byte> scratch, Clock::time_point now);

 private:
  How how_;
  int fd_;
  Stream& stream_;
  Clock::time_point deadline_;
};

}  // namespace weir::harness
