#include "net/event_loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "weir/error.hpp"

namespace weir::net {

namespace {

constexpr std::size_t kBatch = 64;  // events fetched at once

Fd owned(int fd, const char* what) {
  if (fd < 0) throw Error({.code = errc::resource_exhausted, .detail = what});
  return Fd(fd);
}

std::uint32_t mask_of(Interest interest) noexcept {
  return (interest.read ? std::uint32_t{EPOLLIN | EPOLLRDHUP} : 0U) |
         (interest.write ? std::uint32_t{EPOLLOUT} : 0U);
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

Bell::Bell() : fd_(owned(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd")) {}

void Bell::ring() noexcept {
  rung_.store(true);  // seq_cst: H3 of helm.hpp
  const std::uint64_t one = 1;
  // EAGAIN means that the counter is full: it is rung already.
  [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);
}

void Bell::clear() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto taken = ::read(fd_.get(), &count, sizeof count);
  // Last, so that a ring meanwhile is at worst heard twice; an exchange, so that what its ringer
  // did before is seen.
  rung_.exchange(false);
}

EventLoop::EventLoop(Bell& bell)
    : bell_(bell),
      epoll_(owned(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      timer_(
          owned(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd_create")) {
  ready_.reserve(kBatch);
  if (!watch(bell_.fd(), {.read = true}, false) || !watch(timer_.get(), {.read = true}, false))
    throw Error({.code = errc::resource_exhausted, .detail = "epoll_ctl"});
}

bool EventLoop::watch(int fd, Interest interest, bool watched) noexcept {
  epoll_event event{};
  event.events = mask_of(interest);
  event.data.fd = fd;
  const auto control = [&](int what) { return ::epoll_ctl(epoll_.get(), what, fd, &event) == 0; };
  if (control(watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD)) return true;
  if (errno == ENOENT) return control(EPOLL_CTL_ADD);
  return errno == EEXIST && control(EPOLL_CTL_MOD);
}

bool EventLoop::unwatch(int fd) noexcept {
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0;
}

void EventLoop::arm(detail::TimePoint deadline) noexcept {
  // A timer armed too early costs one empty turn, so a later deadline alone is no reason to set it.
  if (deadline >= armed_) return;
  const auto since_boot = std::max(deadline.time_since_epoch(), detail::TimePoint::duration{1});
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
  itimerspec spec{};
  spec.it_value.tv_sec = static_cast<time_t>(seconds.count());
  spec.it_value.tv_nsec = static_cast<long>((since_boot - seconds).count());
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
  armed_ = deadline;
}

std::span<const Event> EventLoop::wait(detail::TimePoint deadline, detail::TimePoint now) {
  const bool due = deadline <= now;
  if (!due) arm(deadline);
  std::array<epoll_event, kBatch> events;
  const int count = ::epoll_pwait(epoll_.get(), events.data(), kBatch, due ? 0 : -1, blocked_);
  ready_.clear();
  for (int i = 0; i < count; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    if (event.data.fd == bell_.fd()) {
      bell_.clear();
    } else if (event.data.fd == timer_.get()) {
      std::uint64_t expirations = 0;
      [[maybe_unused]] const auto n = ::read(timer_.get(), &expirations, sizeof expirations);
      armed_ = detail::TimePoint::max();
    } else {
      ready_.push_back({.fd = event.data.fd,
                        .readable = (event.events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0,
                        .writable = (event.events & EPOLLOUT) != 0,
                        .failed = (event.events & EPOLLERR) != 0});
    }
  }
  return ready_;
}

}  // namespace weir::net
