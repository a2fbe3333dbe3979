#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace weir::harness::test {

inline std::string get(std::string_view target, std::string_view more_fields = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n" + std::string(more_fields) +
         "\r\n";
}

inline std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// A response as it came off the wire.
struct RawResponse {
  std::string head;  // with the blank line
  std::string body;  // chunk framing removed
  bool whole = false;
  int status() const { return head.size() < 12 ? 0 : std::stoi(head.substr(9, 3)); }
  bool has(std::string_view field) const { return head.find(field) != head.npos; }
};

/// A socket and nothing else. Every read fails after 20 s, so that a broken server fails the test.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port, int receive_buffer = 0)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) {
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    const timeval patience{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("connect");
    }
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  int fd() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void reset() {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t size = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
    return true;
  }

  /// What one recv() brings, empty at the end or after an error (see `error`).
  std::string receive(std::size_t most = 64 * 1024) {
    std::string piece(most, '\0');
    const ssize_t size = ::recv(fd_, piece.data(), piece.size(), 0);
    error_ = size < 0 ? errno : 0;
    piece.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return piece;
  }
  int error() const { return error_; }

  /// Everything until the end of the connection.
  std::string rest() {
    std::string all = std::exchange(ahead_, {});
    while (true) {
      const std::string piece = receive();
      if (piece.empty()) return all;
      all += piece;
    }
  }

  std::string head() {
    std::size_t end;
    while ((end = ahead_.find("\r\n\r\n")) == ahead_.npos) {
      if (!more()) return take(ahead_.size());
    }
    return take(end + 4);
  }

  /// At most `size` bytes, fewer at the end of the connection.
  std::string bytes(std::size_t size) {
    while (ahead_.size() < size && more()) {
    }
    return take(std::min(size, ahead_.size()));
  }

  RawResponse response(bool to_head = false) {
    RawResponse got;
    got.head = head();
    if (to_head || got.status() == 204 || got.status() == 304) {
      got.whole = got.head.size() > 4;
    } else if (got.has("Transfer-Encoding: chunked")) {
      got.whole = read_chunks(got.body);
    } else if (const std::size_t at = got.head.find("Content-Length: "); at != got.head.npos) {
      const std::size_t length = std::stoull(got.head.substr(at + 16));
      got.body = bytes(length);
      got.whole = got.body.size() == length;
    } else {
      got.body = rest();
      got.whole = error_ == 0;
    }
    return got;
  }

  RawResponse fetch(std::string_view target) {
    send(get(target));
    return response();
  }

  /// Sizes of the chunks of the last chunked response.
  const std::string& chunk_sizes() const { return chunk_sizes_; }

 private:
  bool more() {
    const std::string piece = receive();
    ahead_ += piece;
    return !piece.empty();
  }
  std::string take(std::size_t size) {
    std::string out = ahead_.substr(0, size);
    ahead_.erase(0, size);
    return out;
  }
  bool read_chunks(std::string& body) {
    chunk_sizes_.clear();
    while (true) {
      std::size_t end;
      while ((end = ahead_.find("\r\n")) == ahead_.npos) {
        if (!more()) return false;
      }
      const std::string line = take(end + 2);
      chunk_sizes_ += line.substr(0, end) + " ";
      const std::size_t size = std::stoull(line, nullptr, 16);
      const std::string piece = bytes(size + 2);
      if (piece.size() != size + 2 || piece.substr(size) != "\r\n") {
        body += piece;
        return false;
      }
      body += piece.substr(0, size);
      if (size == 0) return true;
    }
  }

  int fd_;
  int error_ = 0;
  std::string ahead_;
  std::string chunk_sizes_;
};

}  // namespace weir::harness::test
