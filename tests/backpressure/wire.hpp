#pragma once

#include <arpa/inet.h>
#include <dirent.h>
#include <linux/tcp.h>  // not <netinet/tcp.h>, whose tcp_info is an older one
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

// What the kernel holds and has moved between a loopback server and this process.

namespace weir::test {

/// Bytes in the kernel's buffers, summed over all connections of a server.
struct KernelQueues {
  std::uint64_t at_server = 0;  ///< taken from the server, not yet acknowledged by the client
  std::uint64_t at_client = 0;  ///< received, not yet taken by the client
  std::uint64_t total() const noexcept { return at_server + at_client; }
  bool operator==(const KernelQueues&) const = default;
};

/// Those of the server that listens on 127.0.0.1:`port`. They change as long as bytes move.
inline KernelQueues kernel_queues(std::uint16_t port) {
  KernelQueues queues;
  std::ifstream table("/proc/net/tcp");
  std::string line;
  std::getline(table, line);  // names of the columns
  while (std::getline(table, line)) {
    std::istringstream words(line);
    std::string index, local, remote, state, sizes;
    words >> index >> local >> remote >> state >> sizes;
    const auto port_of = [](const std::string& address) {
      return std::strtoul(address.substr(address.find(':') + 1).c_str(), nullptr, 16);
    };
    const auto colon = sizes.find(':');
    constexpr std::string_view kListening = "0A";
    if (state == kListening || colon == std::string::npos) continue;
    if (port_of(local) == port) queues.at_server += std::stoull(sizes, nullptr, 16);
    if (port_of(remote) == port) {
      queues.at_client += std::stoull(sizes.substr(colon + 1), nullptr, 16);
    }
  }
  return queues;
}

/// Bytes that the kernel has received for this process's busiest connection to a server: all
/// that came by TCP, heads and TLS included.
inline std::uint64_t received_from(std::uint16_t port) {
  DIR* const directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) throw std::system_error(errno, std::generic_category(), "fds");
  std::uint64_t most = 0;
  while (const dirent* const entry = ::readdir(directory)) {
    const int fd = std::atoi(entry->d_name);
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    if (peer.sin_family != AF_INET || ntohs(peer.sin_port) != port) continue;
    tcp_info info{};
    size = sizeof info;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) continue;
    most = std::max<std::uint64_t>(most, info.tcpi_bytes_received);
  }
  ::closedir(directory);
  return most;
}

/// Lets real time go by, where time itself is what is measured.
inline void let_pass(std::chrono::milliseconds time) {
  ::poll(nullptr, 0, static_cast<int>(time.count()));
}

/// Waits until the kernel holds bytes of that server and none of them has moved for 200 ms.
/// False: that did not happen within a minute.
inline bool wait_until_still(std::uint16_t port) {
  KernelQueues before;
  for (int looks = 0; looks < 300; ++looks) {
    const KernelQueues now = kernel_queues(port);
    if (now == before && now.total() > 0) return true;
    before = now;
    let_pass(std::chrono::milliseconds(200));
  }
  return false;
}

/// A socket and nothing else: the yardstick for what the kernel holds by itself.
class BareSocket {
 public:
  /// Connects and asks for `target`. Throws std::system_error.
  BareSocket(std::uint16_t port, std::string_view target)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail();
    const std::string request = "GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n\r\n";
    if (::send(fd_, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
      fail();
    }
  }
  BareSocket(const BareSocket&) = delete;
  BareSocket& operator=(const BareSocket&) = delete;
  ~BareSocket() { ::close(fd_); }

  /// Reads at least `count` bytes, 64 KiB at a time, as fast as it can.
  void read(std::uint64_t count) {
    std::vector<char> room(std::size_t{64} << 10);
    while (read_ < count) {
      const ssize_t size = ::recv(fd_, room.data(), room.size(), 0);
      if (size <= 0) fail();
      read_ += static_cast<std::uint64_t>(size);
    }
  }
  std::uint64_t bytes_read() const noexcept { return read_; }

 private:
  [[noreturn]] void fail() {
    const std::system_error error(errno, std::generic_category(), "bare socket");
    if (fd_ >= 0) ::close(fd_);
    throw error;
  }

  int fd_;
  std::uint64_t read_ = 0;  // head included
};

}  // namespace weir::test
