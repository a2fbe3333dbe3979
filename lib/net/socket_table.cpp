#include "net/socket_table.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

namespace weir::net {

namespace {

bool wanted(Interest interest) noexcept { return interest.read || interest.write; }

// A dead peer is found even while nobody reads: 15 s of silence, then 3 probes 15 s apart.
void keep_alive(int socket) noexcept {
  const int on = 1;
  const int seconds = 15;
  const int probes = 3;
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

int local_port_of(int socket) noexcept {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) != 0) return -1;
  if (own.ss_family == AF_UNIX) return 0;  // as libcurl tells it
  if (own.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(own).sin_port);
  if (own.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(own).sin6_port);
  return -1;
}

}  // namespace

int SocketTable::open(int family, int type, int protocol) noexcept {
  const int socket = ::socket(family, type | SOCK_CLOEXEC, protocol);
  exhausted_ = socket < 0 && (errno == EMFILE || errno == ENFILE);
  if (socket < 0) return -1;
  try {
    const auto [known, fresh] = sockets_.try_emplace(socket);
    if (!fresh) {  // its namesake was closed without a word, and may still be wanted
      still_open_.fetch_sub(1, std::memory_order_relaxed);
      lost_ = true;
      if (wanted(known->second.interest)) loop_.watch(socket, known->second.interest, false);
      known->second.local_port = 0;
      known->second.connecting = true;
      known->second.http2 = known->second.held = false;
    }
  } catch (const std::bad_alloc&) {
    ::close(socket);
    exhausted_ = true;
    return -1;
  }
  opened_.fetch_add(1, std::memory_order_relaxed);
  still_open_.fetch_add(1, std::memory_order_relaxed);
  if (family == AF_INET || family == AF_INET6) keep_alive(socket);
  return socket;
}

void SocketTable::close(int socket) noexcept {
  const auto known = sockets_.find(socket);
  if (known != sockets_.end() && known->second.connecting) lost_ = true;
  loop_.unwatch(socket);  // closing is not enough where a forked child has a copy
  ::close(socket);
  forget(socket);
}

void SocketTable::forget(int socket) noexcept {
  if (sockets_.erase(socket) != 0) still_open_.fetch_sub(1, std::memory_order_relaxed);
}

bool SocketTable::watch(int socket, Interest interest) noexcept {
  Interest before;
  const auto known = sockets_.find(socket);
  if (known != sockets_.end()) {
    before = known->second.effective();
    known->second.interest = interest;
    if (interest.read) known->second.connecting = false;
    interest = known->second.effective();
  }
  if (wanted(interest)) return loop_.watch(socket, interest, wanted(before));
  if (!loop_.unwatch(socket) && wanted(before)) {  // closed without a word
    forget(socket);
    lost_ = true;
  }
  return true;
}

bool SocketTable::hold(int socket, bool held) noexcept {
  const auto known = sockets_.find(socket);
  if (known == sockets_.end() || known->second.held == held) return true;
  const bool watched = wanted(known->second.effective());
  known->second.held = held;
  const Interest interest = known->second.effective();
  if (wanted(interest)) return loop_.watch(socket, interest, watched);
  loop_.unwatch(socket);
  return true;
}

bool SocketTable::watches_any() const noexcept {
  return std::any_of(sockets_.begin(), sockets_.end(),
                     [](const auto& known) { return wanted(known.second.effective()); });
}

// A port may be that of several connections, to different hosts.
template <class Condition>
bool SocketTable::any_idle(int local_port, Condition condition) noexcept {
  for (auto& [socket, state] : sockets_) {
    if (wanted(state.interest)) continue;
    if (state.local_port == 0) state.local_port = local_port_of(socket);
    if (state.local_port == local_port && condition(socket, state)) return true;
  }
  return false;
}

bool SocketTable::is_unusable(int local_port) noexcept {
  return any_idle(local_port, [](int socket, const Socket& state) {
    char byte = 0;
    const auto got = ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0) return !state.http2;
    return got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
  });
}

void SocketTable::speaks_http2(int socket) noexcept {
  const auto known = sockets_.find(socket);
  if (known != sockets_.end()) known->second.http2 = true;
}

bool SocketTable::is_http2(int local_port) noexcept {
  return any_idle(local_port, [](int, const Socket& state) { return state.http2; });
}

}  // namespace weir::net
