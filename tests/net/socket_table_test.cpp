#include "net/socket_table.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/listener.hpp"

using weir::detail::TimePoint;
using weir::net::Bell;
using weir::net::EventLoop;
using weir::net::SocketTable;
using weir::test::Listener;
using weir::test::Socket;

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

int port_of(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

/// Connects `socket` to a peer of its own, which is returned.
Socket connected(int socket) {
  const Listener listener;
  listener.connect(socket);
  return listener.accept();
}

void make_readable(int socket, const Socket& peer) {
  peer.write("x");
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
  const Socket peer = connected(socket);
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
  const Socket idle_peer = connected(idle);
  const Socket busy_peer = connected(busy);
  REQUIRE(table.sockets.watch(busy, {.read = true}));
  CHECK_FALSE(table.sockets.is_unusable(port_of(idle)));
  make_readable(idle, idle_peer);
  make_readable(busy, busy_peer);
  CHECK(table.sockets.is_unusable(port_of(idle)));
  CHECK_FALSE(table.sockets.is_unusable(port_of(busy)));
  table.sockets.close(idle);
  const int ended = table.open();
  { const Socket peer = connected(ended); }
  CHECK(table.sockets.is_unusable(port_of(ended)));
  table.sockets.close(ended);
  CHECK_FALSE(table.sockets.is_unusable(port_of(busy)));
  table.sockets.close(busy);
}

TEST_CASE(
    "SocketTable: bytes on an idle HTTP/2 connection are libcurl's to judge, its end is not") {
  Table table;
  const int idle = table.open();
  Socket peer = connected(idle);
  CHECK_FALSE(table.sockets.is_http2(port_of(idle)));
  table.sockets.speaks_http2(idle);
  CHECK(table.sockets.is_http2(port_of(idle)));
  make_readable(idle, peer);
  CHECK_FALSE(table.sockets.is_unusable(port_of(idle)));
  char byte = 0;
  REQUIRE(::recv(idle, &byte, 1, 0) == 1);
  peer.close();
  CHECK(table.sockets.is_unusable(port_of(idle)));
  table.sockets.close(idle);
  const int next = table.open();
  const Socket next_peer = connected(next);
  CHECK_FALSE(table.sockets.is_http2(port_of(next)));
  table.sockets.close(next);
}

TEST_CASE("SocketTable: one that is held is not watched for input until it is let go") {
  Table table;
  const int socket = table.open();
  const Socket peer = connected(socket);
  REQUIRE(table.sockets.watch(socket, {.read = true}));
  make_readable(socket, peer);
  CHECK(table.readable(socket));
  CHECK(table.sockets.hold(socket, true));
  CHECK_FALSE(table.readable(socket));
  REQUIRE(table.sockets.watch(socket, {.read = true, .write = true}));
  CHECK_FALSE(table.readable(socket));
  REQUIRE(table.sockets.watch(socket, {.read = true}));
  CHECK_FALSE(table.readable(socket));
  CHECK(table.sockets.hold(socket, false));
  CHECK(table.readable(socket));
  CHECK(table.sockets.hold(socket, true));
  REQUIRE(table.sockets.watch(socket, {}));
  CHECK_FALSE(table.sockets.take_lost());
  CHECK(table.sockets.still_open() == 1);
  table.sockets.close(socket);
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
