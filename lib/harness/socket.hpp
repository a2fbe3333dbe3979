#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace weir::harness {

/// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const noexcept { return fd_; }
  void reset() noexcept;

 private:
  int fd_ = -1;
};

/// A non-blocking socket that listens on 127.0.0.1 or ::1. `send_buffer`: SO_SNDBUF, 0 for the
/// system's. Throws std::system_error.
Fd listen_loopback(std::uint16_t port, bool ipv6, int send_buffer);
std::uint16_t local_port(int fd);

/// Makes the coming close() send RST and forget what was not sent yet.
void reset_on_close(int fd) noexcept;
/// Bytes that the peer's kernel has not acknowledged yet; 0 if unknown.
std::size_t unacknowledged(int fd) noexcept;

struct IoResult {
  enum class Status { ok, blocked, closed };  // closed: by the peer, or an error
  Status status = Status::ok;
  std::size_t bytes = 0;
};

/// The bytes of one connection, plain or encrypted. Never waits, never raises SIGPIPE.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual IoResult read(std::span<std::byte> out) = 0;
  /// Takes some of `parts`, which are sent as one where possible. After `blocked` the same bytes
  /// must be offered again, and more if there are more; they need not be at the same place.
  virtual IoResult write(std::span<const iovec> parts) = 0;
  /// What the handshake chose; `none` where there is no handshake, and before its end.
  enum class Protocol { none, http1, http2 };
  virtual Protocol protocol() const { return Protocol::none; }
  /// Says in the protocol that nothing will follow; the socket stays open. False: the kernel took
  /// not all of it, call again.
  virtual bool finish() = 0;
};

class PlainStream final : public Stream {
 public:
  explicit PlainStream(int fd) noexcept : fd_(fd) {}
  IoResult read(std::span<std::byte> out) override;
  IoResult write(std::span<const iovec> parts) override;
  bool finish() override { return true; }

 private:
  int fd_;
};

}  // namespace weir::harness
