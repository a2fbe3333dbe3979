#include "harness/socket.hpp"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace weir::harness {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void set_option(int fd, int level, int name, int value) {
  if (setsockopt(fd, level, name, &value, sizeof value) != 0) fail("setsockopt");
}

template <class Address>
void bind_to(int fd, const Address& address) {
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind");
}

IoResult failed_io() {
  const bool later = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  return {later ? IoResult::Status::blocked : IoResult::Status::closed, 0};
}

}  // namespace

void Fd::reset() noexcept {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

Fd listen_loopback(std::uint16_t port, bool ipv6, int send_buffer) {
  Fd fd(socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) fail("socket");
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  // Accepted sockets inherit both.
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  if (send_buffer > 0) set_option(fd.get(), SOL_SOCKET, SO_SNDBUF, send_buffer);
  if (ipv6) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    address.sin6_port = htons(port);
    bind_to(fd.get(), address);
  } else {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    bind_to(fd.get(), address);
  }
  if (listen(fd.get(), SOMAXCONN) != 0) fail("listen");
  return fd;
}

std::uint16_t local_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) fail("getsockname");
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

void reset_on_close(int fd) noexcept {
  const linger now{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

std::size_t unacknowledged(int fd) noexcept {
  int bytes = 0;
  return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

IoResult PlainStream::read(std::span<std::byte> out) {
  const ssize_t size = recv(fd_, out.data(), out.size(), 0);
  if (size < 0) return failed_io();
  if (size == 0) return {IoResult::Status::closed, 0};
  return {IoResult::Status::ok, static_cast<std::size_t>(size)};
}

IoResult PlainStream::write(std::span<const iovec> parts) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  const ssize_t size = sendmsg(fd_, &message, MSG_NOSIGNAL);
  if (size < 0) return failed_io();
  return {IoResult::Status::ok, static_cast<std::size_t>(size)};
}

}  // namespace weir::harness
