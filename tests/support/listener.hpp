#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace weir::test {

/// A connected or listening socket that closes itself.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "socket");
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }

  int fd() const noexcept { return fd_; }
  /// Closes with RST if bytes are unread, else with FIN.
  void close() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  /// Waits for bytes; 0 at the end or after an error.
  std::size_t read(char* out, std::size_t size) const noexcept {
    const auto got = ::recv(fd_, out, size, 0);
    return got > 0 ? static_cast<std::size_t>(got) : 0;
  }
  /// Reads until what came holds `mark`; what came. Shorter at the end.
  std::string read_until(std::string_view mark) const {
    std::string all;
    std::array<char, 4096> part;
    while (all.find(mark) == all.npos) {
      const std::size_t count = read(part.data(), part.size());
      if (count == 0) break;
      all.append(part.data(), count);
    }
    return all;
  }
  void write(std::string_view text) const noexcept {
    while (!text.empty()) {
      const auto sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

 private:
  int fd_;
};

/// A listening socket of loopback that answers nothing by itself: the kernel completes connects
/// until `backlog` are waiting, and drops those that follow, so that they hang.
class Listener {
 public:
  /// At 127.0.0.`host`; port 0: a free one.
  explicit Listener(int backlog = 4096, std::uint32_t host = 1, std::uint16_t port = 0)
      : socket_(::socket(AF_INET, kKind, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~0xffU) | host);
    address_.sin_port = htons(port);
    socklen_t size = sizeof address_;
    auto* const generic = reinterpret_cast<sockaddr*>(&address_);
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (::bind(socket_.fd(), generic, size) != 0 || ::listen(socket_.fd(), backlog) != 0 ||
        ::getsockname(socket_.fd(), generic, &size) != 0) {
      throw std::system_error(errno, std::generic_category(), "listen");
    }
  }

  int fd() const noexcept { return socket_.fd(); }
  std::uint16_t port() const noexcept { return ntohs(address_.sin_port); }
  std::string url(std::string_view path = "/", const char* scheme = "http") const {
    return std::string(scheme) + "://127.0.0.1:" + std::to_string(port()) + std::string(path);
  }
  /// Waits for a connection. Throws std::system_error if none comes within 10 s.
  Socket accept() const { return Socket(::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC)); }
  /// Takes and closes the connections that wait.
  void turn_away() const noexcept {
    for (pollfd ready{socket_.fd(), POLLIN, 0}; ::poll(&ready, 1, 0) == 1;) {
      const int fd = ::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) ::close(fd);
    }
  }
  /// A connection from this side.
  Socket connect() const {
    Socket made(::socket(AF_INET, kKind, 0));
    connect(made.fd());
    return made;
  }
  /// The same for a socket that is there already.
  void connect(int socket) const {
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) != 0) {
      throw std::system_error(errno, std::generic_category(), "connect");
    }
  }

 private:
  static constexpr int kKind = SOCK_STREAM | SOCK_CLOEXEC;

  Socket socket_;
  sockaddr_in address_{};
};

/// Both ends of a connection.
class SocketPair {
 private:
  Listener listener_{1};

 public:
  Socket ours = listener_.connect();
  Socket theirs = listener_.accept();
};

/// Someone listens there.
inline bool can_connect(std::uint16_t port) {
  const Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return ::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

/// A port of loopback where connecting neither succeeds nor fails.
class SilentPort {
 public:
  std::uint16_t port() const noexcept { return listener_.port(); }
  std::string url(const char* scheme = "http") const { return listener_.url("/", scheme); }

 private:
  Listener listener_{0};
  Socket first_ = listener_.connect();  // fills the queue
};

}  // namespace weir::test
