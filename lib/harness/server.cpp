#include "harness/server.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <new>
#include <system_error>

#include "harness/http1_connection.hpp"
#include "harness/opening_connection.hpp"

namespace weir::harness {
namespace {

constexpr int kRetryAccept = 50;  // milliseconds, while out of descriptors

Fd opened(int fd, const char* what) {
  if (fd < 0) throw std::system_error(errno, std::generic_category(), what);
  return Fd(fd);
}

bool watch(int epoll, int operation, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  return epoll_ctl(epoll, operation, fd, &event) == 0;
}

}  // namespace

Server::Server(const FirehoseOptions& options, StatsBoard& stats)
    : stats_(stats),
      http2_(options.http2),
      listener_(listen_loopback(options.port, options.ipv6, options.send_buffer)),
      epoll_(opened(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      stop_(opened(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd")),
      port_(local_port(listener_.get())),
      tls_(options.tls ? std::make_unique<TlsContext>(options.http2) : nullptr),
      context_(new ConnectionContext{stats, {}, {}, 1}) {
  context_->ping_interval = options.ping_interval;
  context_->ping_timeout = options.ping_timeout;
  if (tls_) ca_pem_ = tls_->ca_pem();
  if (!watch(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), EPOLLIN) ||
      !watch(epoll_.get(), EPOLL_CTL_ADD, stop_.get(), EPOLLIN)) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

void Server::stop() noexcept {
  stopping_ = true;
  eventfd_write(stop_.get(), 1);
}

void Server::run() {
  std::array<epoll_event, 256> events;
  while (!stopping_) {
    const int count =
        epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout());
    if (!accepting_) pause_accepting(false);
    // A descriptor closed here cannot come again in this batch, even if accept() reuses it.
    for (int i = 0; i < count && !stopping_; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.fd == listener_.get())
        accept_all();
      else
        drive(event.data.fd, event.events);
    }
    drive_ready();
    drive_timers();
    stats_.publish();
  }
  entries_.clear();
  listener_.reset();
}

int Server::timeout() const {
  if (!ready_.empty()) return 0;
  if (timers_.empty()) return accepting_ ? -1 : kRetryAccept;
  const auto left = timers_.begin()->first - Clock::now();
  const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<long long>(rounded, 0, accepting_ ? INT_MAX : kRetryAccept));
}

void Server::accept_all() {
  while (true) {
    Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.get() >= 0) {
      add(std::move(fd));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      return pause_accepting(true);
    } else if (errno != ECONNABORTED && errno != EINTR) {
      return;
    }
  }
}

// Out of descriptors the listener would stay readable and the loop would spin.
void Server::pause_accepting(bool pause) {
  if (watch(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), pause ? 0U : EPOLLIN))
    accepting_ = !pause;
}

void Server::add(Fd fd) {
  const int number = fd.get();
  std::unique_ptr<Stream> stream =
      tls_ ? tls_->accept(number) : std::make_unique<PlainStream>(number);
  constexpr std::uint32_t kEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  if (stream == nullptr || !watch(epoll_.get(), EPOLL_CTL_ADD, number, kEvents)) return;
  Entry entry;
  if (http2_)
    entry.connection =
        std::make_unique<OpeningConnection>(std::move(fd), std::move(stream), *context_);
  else
    entry.connection =
        std::make_unique<Http1Connection>(std::move(fd), std::move(stream), *context_);
  entries_.insert_or_assign(number, std::move(entry));
  stats_.connection_opened();
}

void Server::drive(int fd, std::uint32_t events) {
  const auto found = entries_.find(fd);
  if (found == entries_.end()) return;
  stats_.enter();
  const Wish wish = found->second.connection->drive(events, Clock::now());
  set_timer(fd, found->second, wish.at);
  if (wish.kind == Wish::Kind::again) ready_.push_back(fd);
  if (wish.kind == Wish::Kind::closed) {
    stats_.connection_closed();
    entries_.erase(found);
  }
  stats_.leave();
}

void Server::drive_ready() {
  std::vector<int> now;
  now.swap(ready_);
  std::sort(now.begin(), now.end());
  now.erase(std::unique(now.begin(), now.end()), now.end());
  for (const int fd : now) {
    if (!stopping_) drive(fd, 0);
  }
}

void Server::drive_timers() {
  const Clock::time_point now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const int fd = timers_.begin()->second;
    set_timer(fd, entries_.at(fd), {});
    drive(fd, 0);
  }
}

void Server::set_timer(int fd, Entry& entry, std::optional<Clock::time_point> at) {
  if (entry.wake_at == at) return;
  if (entry.wake_at) timers_.erase({*entry.wake_at, fd});
  if (at) timers_.emplace(*at, fd);
  entry.wake_at = at;
}

}  // namespace weir::harness
