#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "support/listener.hpp"

namespace weir::test {

/// How a ProxyPeer behaves.
struct ProxyManners {
  /// What Proxy-Authorization must hold after "Basic ", or SOCKS's "user:password"; empty: anyone
  /// may use it.
  std::string credentials{};
  int refuse = 0;       ///< This status instead of a tunnel.
  bool vanish = false;  ///< It closes in the middle of its answer.
  std::size_t cut_after = std::numeric_limits<std::size_t>::max();  ///< bytes to the client
};

/// A proxy on loopback: HTTP (absolute form, CONNECT) and SOCKS5, told apart by the first byte. All
/// hosts are 127.0.0.1. It holds next to nothing of what it relays.
/// Thread-safety: one thread, beside its own.
class ProxyPeer {
 public:
  explicit ProxyPeer(ProxyManners manners = {})
      : manners_(std::move(manners)), acceptor_([this] { serve(); }) {}
  ~ProxyPeer() {
    stopped_ = true;
    const Socket last = listener_.connect();
    acceptor_.join();
    for (Connection& connection : connections_) {
      ::shutdown(connection.client.fd(), SHUT_RDWR);
      connection.thread.join();
    }
  }
  ProxyPeer(const ProxyPeer&) = delete;
  ProxyPeer& operator=(const ProxyPeer&) = delete;

  /// "http://127.0.0.1:PORT", with what is given before the host.
  std::string url(const char* scheme = "http", const std::string& userinfo = "") const {
    return std::string(scheme) + "://" + userinfo + "127.0.0.1:" + std::to_string(listener_.port());
  }
  /// What clients asked for, so far: heads of requests, "socks HOST".
  std::vector<std::string> asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  struct Connection {
    Socket client;
    std::thread thread{};
  };

  void serve() {
    while (!stopped_) {
      try {
        Socket client = listener_.accept();
        if (stopped_) return;
        const timeval patience{.tv_sec = 120, .tv_usec = 0};
        ::setsockopt(client.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        Connection& made = connections_.emplace_back(Connection{std::move(client)});
        made.thread = std::thread([this, &made] { handle(made.client); });
      } catch (const std::system_error&) {
        continue;  // nobody came for a while
      }
    }
  }

  void handle(const Socket& client) {
    char first = 0;
    if (::recv(client.fd(), &first, 1, MSG_PEEK) == 1) {
      first == '\x05' ? handle_socks(client) : handle_http(client);
    }
    ::shutdown(client.fd(), SHUT_RDWR);
  }

  void note(std::string what) {
    const std::lock_guard lock(mutex_);
    asked_.push_back(std::move(what));
  }

  void handle_http(const Socket& client) {
    const std::string head = client.read_until("\r\n\r\n");
    if (head.empty()) return;
    note(head);
    if (manners_.vanish) return client.write("HTTP/1.1 200 Conn");
    const bool tunnel = head.starts_with("CONNECT ");
    const bool known =
        manners_.credentials.empty() ||
        head.find("Proxy-Authorization: Basic " + manners_.credentials + "\r\n") != head.npos;
    if (!known || manners_.refuse != 0) return refuse(client, known ? manners_.refuse : 407);
    const std::optional<Socket> server = connect(port_in(head));
    if (!server) return refuse(client, 502);
    if (tunnel) {
      client.write("HTTP/1.1 200 Connection established\r\nX-Proxy: seen\r\n\r\n");
    } else {
      server->write(head);
    }
    relay(client, *server);
  }

  static void refuse(const Socket& client, int status) {
    client.write("HTTP/1.1 " + std::to_string(status) +
                 " No\r\nX-Proxy: seen\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\n"
                 "Content-Length: 2\r\nConnection: close\r\n\r\nno");
  }

  // RFC 1928, RFC 1929.
  void handle_socks(const Socket& client) {
    const std::string methods = take(client, 2);
    if (methods.size() < 2) return;
    take(client, static_cast<unsigned char>(methods[1]));
    if (manners_.credentials.empty()) {
      client.write(std::string("\x05\x00", 2));
    } else {
      client.write("\x05\x02");
      const std::string user = take(client, static_cast<unsigned char>(take(client, 2).back()));
      const std::string word = take(client, static_cast<unsigned char>(take(client, 1).back()));
      const bool known = user + ":" + word == manners_.credentials;
      client.write(known ? std::string("\x01\x00", 2) : std::string("\x01\x01"));
      if (!known) return;
    }
    const std::string request = take(client, 4);
    if (request.size() < 4) return;
    const bool named = request[3] == 3;
    const std::size_t size = named             ? static_cast<unsigned char>(take(client, 1).back())
                             : request[3] == 4 ? 16
                                               : 4;
    const std::string host = take(client, size);
    const std::string port = take(client, 2);
    note(named ? "socks " + host : "socks address");
    if (manners_.vanish || port.size() < 2) return client.write("\x05");
    const std::optional<Socket> server = connect(static_cast<std::uint16_t>(
        static_cast<unsigned char>(port[0]) << 8 | static_cast<unsigned char>(port[1])));
    const bool good = server && manners_.refuse == 0;
    std::string answer("\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00", 10);
    if (!good) answer[1] = 2;
    client.write(answer);
    if (good) relay(client, *server);
  }

  static std::string take(const Socket& from, std::size_t size) {
    std::string bytes(size, '\0');
    if (size > 0 && ::recv(from.fd(), bytes.data(), size, MSG_WAITALL) <= 0) bytes.assign(1, '\0');
    return bytes;
  }

  static std::uint16_t port_in(std::string_view head) {
    const auto start = head.find(' ') + 1;
    auto authority = head.substr(start, head.find(' ', start) - start);
    if (authority.starts_with("http://")) authority.remove_prefix(7);
    authority = authority.substr(0, authority.find('/'));
    const auto colon = authority.rfind(':');
    if (colon == authority.npos) return 80;
    return static_cast<std::uint16_t>(std::atoi(std::string(authority.substr(colon + 1)).c_str()));
  }

  static std::optional<Socket> connect(std::uint16_t port) {
    Socket made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (::connect(made.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      return std::nullopt;
    return made;
  }

  // A write that blocks is what holds the server up.
  void relay(const Socket& client, const Socket& server) const {
    std::array<char, 16 * 1024> piece;
    std::size_t left = manners_.cut_after;
    while (left > 0) {
      std::array<pollfd, 2> ready{{{client.fd(), POLLIN, 0}, {server.fd(), POLLIN, 0}}};
      if (::poll(ready.data(), ready.size(), 120'000) <= 0) return;
      const bool up = ready[0].revents != 0;
      const std::size_t size = (up ? client : server).read(piece.data(), piece.size());
      if (size == 0) return;
      const std::size_t passed = up ? size : std::min(size, left);
      (up ? server : client).write({piece.data(), passed});
      if (!up && left != std::numeric_limits<std::size_t>::max()) left -= passed;
    }
  }

  const ProxyManners manners_;
  Listener listener_;
  std::atomic<bool> stopped_{false};
  mutable std::mutex mutex_;
  std::vector<std::string> asked_;     // guarded by mutex_
  std::list<Connection> connections_;  // the acceptor's, until it has ended
  std::thread acceptor_;
};

}  // namespace weir::test
