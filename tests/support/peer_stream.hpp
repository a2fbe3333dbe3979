#pragma once

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "harness/tls.hpp"
#include "support/listener.hpp"

namespace weir::test {

/// The server's end of one connection, plain or TLS: sends exactly what it is told to.
/// Throws std::runtime_error if the client says nothing for 10 s, or closes.
class PeerStream {
 public:
  /// How a connection ends: `fin` says so in TLS as well, `cut` does not.
  enum class End { fin, cut, rst };

  /// `tls` may be null.
  PeerStream(Socket socket, harness::TlsContext* tls)
      : socket_(std::move(socket)),
        stream_(tls != nullptr ? tls->accept(socket_.fd())
                               : std::make_unique<harness::PlainStream>(socket_.fd())) {
    const int at_once = 1;
    ::setsockopt(socket_.fd(), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    ::fcntl(socket_.fd(), F_SETFL, O_NONBLOCK);
  }

  /// Waits for so many bytes.
  std::string read(std::size_t size) {
    while (in_.size() < size) read_more();
    return taken(size);
  }
  /// Waits for `mark`; what came up to its end.
  std::string read_until(std::string_view mark) {
    while (in_.find(mark) == in_.npos) read_more();
    return taken(in_.find(mark) + mark.size());
  }
  /// Waits until the client closes; what came first.
  std::string read_all() {
    try {
      for (;;) read_more();
    } catch (const std::runtime_error&) {
      if (!ended_) throw;
    }
    return taken(in_.size());
  }
  bool ended() const noexcept { return ended_; }  ///< The client has closed, and reads said so.
  int fd() const noexcept { return socket_.fd(); }
  /// False once the client has closed.
  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
      const auto sent = stream_->write(std::span(&part, 1));
      if (sent.status == harness::IoResult::Status::closed) return false;
      if (sent.status == harness::IoResult::Status::blocked) wait_until_ready(POLLOUT);
      bytes.remove_prefix(sent.bytes);
    }
    return true;
  }
  void end(End how) {
    if (how == End::fin) stream_->finish();
    if (how == End::rst) harness::reset_on_close(socket_.fd());
    socket_.close();
  }

 private:
  std::string taken(std::size_t size) {
    std::string front = in_.substr(0, size);
    in_.erase(0, size);
    return front;
  }
  void read_more() {
    std::array<std::byte, 16'384> part;
    const auto got = stream_->read(part);
    ended_ = got.status == harness::IoResult::Status::closed;
    if (ended_) throw std::runtime_error("the client closed");
    if (got.status == harness::IoResult::Status::blocked) wait_until_ready(POLLIN);
    in_.append(reinterpret_cast<const char*>(part.data()), got.bytes);
  }
  void wait_until_ready(short events) const {
    pollfd ready{socket_.fd(), events, 0};
    if (::poll(&ready, 1, 10'000) != 1) throw std::runtime_error("the client says nothing");
  }

  Socket socket_;
  std::unique_ptr<harness::Stream> stream_;
  std::string in_;
  bool ended_ = false;
};

}  // namespace weir::test
