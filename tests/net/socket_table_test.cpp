#include "net/socket_table.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

using weir::detail::TimePoint;
using weir::net::Bell;
using weir::net::EventLoop;
using weir::net::Fd;
using weir::net::SocketTable;

namespace {

struct Table {
  Bell bell;
  EventLoop loop{bell};
  SocketTable sockets{loop};

  int open() { return sockets.open(AF_INET, SOCK_STREAM, IPPROTO_TCP); }
  bool readable(int socket) {
    const auto now = weir::detail::Clock::steady().now();
    for (const auto& event : loop.wait(now, now))
      if (event.fd == socket && event.readable) return true;
    return false;
  }
};

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

int port_of(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

/// Connects `socket` to a peer of its own, which is returned.
Fd connected(int socket) {
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto address = loopback(0);
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  address = loopback(port_of(listener.get()));
  REQUIRE(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return Fd(::accept(listener.get(), nullptr, nullptr));
}

void make_readable(int socket, const Fd& peer) {
  REQUIRE(::write(peer.get(), "x", 1) == 1);
  char byte = 0;
  REQUIRE(::recv(socket, &byte, 1, MSG_PEEK) == 1);  // it has arrived
}

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("SocketTable: counts what it opens and closes") {
  Table table;
  const int first = table.open();
  const int second = table.open();
  REQUIRE(first >= 0);
  CHECK(table.sockets.opened() == 2);
  CHECK(table.sockets.still_open() == 2);
  table.sockets.close(first);
  CHECK(table.sockets.still_open() == 1);
  table.sockets.close(second);
  CHECK(table.sockets.still_open() == 0);
}

TEST_CASE("SocketTable: one closed before it was connected is told, one that was used is not") {
  Table table;
  const int refused = table.open();
  REQUIRE(table.sockets.watch(refused, {.write = true}));
  table.sockets.close(refused);
  CHECK(table.sockets.take_lost());
  const int used = table.open();
  REQUIRE(table.sockets.watch(used, {.write = true}));
  REQUIRE(table.sockets.watch(used, {.read = true}));
  table.sockets.close(used);
  CHECK_FALSE(table.sockets.take_lost());
}

TEST_CASE("SocketTable: a socket closed without a word is noticed when its watch ends") {
  Table table;
  const int socket = table.open();
  REQUIRE(table.sockets.watch(socket, {.write = true}));
  ::close(socket);
  CHECK(table.sockets.watch(socket, {}));
  CHECK(table.sockets.still_open() == 0);
  CHECK(table.sockets.take_lost());
  CHECK_FALSE(table.sockets.take_lost());
}

TEST_CASE("SocketTable: the next socket of that number is watched as its namesake was") {
  Table table;
  const int lost = table.open();
  REQUIRE(table.sockets.watch(lost, {.read = true}));
  ::close(lost);
  const int socket = table.open();
  REQUIRE(socket == lost);  // the lowest free number
  CHECK(table.sockets.opened() == 2);
  CHECK(table.sockets.still_open() == 1);
  CHECK(table.sockets.take_lost());
  const Fd peer = connected(socket);
  make_readable(socket, peer);
  CHECK(table.readable(socket));
  table.sockets.close(socket);
}

TEST_CASE("SocketTable: ending the watch of an idle socket loses nothing") {
  Table table;
  const int socket = table.open();
  CHECK(table.sockets.watch(socket, {}));
  CHECK(table.sockets.still_open() == 1);
  CHECK_FALSE(table.sockets.take_lost());
  table.sockets.close(socket);
}

TEST_CASE("SocketTable: an idle connection is unusable with bytes on it, or at its end") {
  Table table;
  const int idle = table.open();
  const int busy = table.open();
  const Fd idle_peer = connected(idle);
  const Fd busy_peer = connected(busy);
  REQUIRE(table.sockets.watch(busy, {.read = true}));
  CHECK_FALSE(table.sockets.is_unusable(port_of(idle)));
  make_readable(idle, idle_peer);
  make_readable(busy, busy_peer);
  CHECK(table.sockets.is_unusable(port_of(idle)));
  CHECK_FALSE(table.sockets.is_unusable(port_of(busy)));
  table.sockets.close(idle);
  const int ended = table.open();
  { const Fd peer = connected(ended); }
  CHECK(table.sockets.is_unusable(port_of(ended)));
  table.sockets.close(ended);
  CHECK_FALSE(table.sockets.is_unusable(port_of(busy)));
  table.sockets.close(busy);
}

TEST_CASE("SocketTable: running out of descriptors is told apart, and passes") {
  Table table;
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const int refused = table.open();
  const bool exhausted = table.sockets.exhausted();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(refused == -1);
  CHECK(exhausted);
  const int socket = table.open();
  CHECK(socket >= 0);
  CHECK_FALSE(table.sockets.exhausted());
  table.sockets.close(socket);
}

TEST_SUITE_END();
