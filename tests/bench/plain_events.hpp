#pragma once

#include <curl/curl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "sse/parser.hpp"

namespace weir::bench {

/// What a program reaches that uses libcurl itself and the same parser: one thread, multi +
/// socket_action and epoll, the events used in the write callback.
template <class Use>
class PlainEvents {
 public:
  PlainEvents(const std::string& url, Use use) : use_(use) {
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &watch);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &set_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    curl_easy_setopt(easy_, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy_, CURLOPT_BUFFERSIZE, 40L * 1024);  // as weir's
    curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &on_body);
    curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  }
  PlainEvents(const PlainEvents&) = delete;
  PlainEvents& operator=(const PlainEvents&) = delete;
  ~PlainEvents() {
    curl_multi_remove_handle(multi_, easy_);
    curl_easy_cleanup(easy_);
    curl_multi_cleanup(multi_);
    ::close(epoll_);
  }

  void run() {
    curl_multi_add_handle(multi_, easy_);
    int running = 1;
    std::array<epoll_event, 8> ready{};
    while (running > 0) {
      const int count = ::epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()),
                                     static_cast<int>(std::min(timeout_, 1000L)));
      if (count == 0) act(CURL_SOCKET_TIMEOUT, 0, running);
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = ready[static_cast<std::size_t>(i)];
        const int what = ((event.events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                         ((event.events & ~std::uint32_t{EPOLLOUT}) != 0 ? CURL_CSELECT_IN : 0);
        act(event.data.fd, what, running);
      }
    }
    int left = 0;
    const CURLMsg* const message = curl_multi_info_read(multi_, &left);
    if (message == nullptr || message->data.result != CURLE_OK) {
      throw std::runtime_error("the plain loop failed");
    }
  }

 private:
  void act(curl_socket_t fd, int what, int& running) {
    timeout_ = std::max(timeout_, 0L);
    curl_multi_socket_action(multi_, fd, what, &running);
  }
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self) {
    auto& plain = *static_cast<PlainEvents*>(self);
    plain.parser_.feed({data, size});
    while (plain.parser_.next() == sse::Parser::Item::event) plain.use_(plain.parser_.take_event());
    return size;
  }
  static int watch(CURL*, curl_socket_t fd, int what, void* self, void*) {
    const int epoll = static_cast<PlainEvents*>(self)->epoll_;
    epoll_event event{};
    event.data.fd = fd;
    event.events = ((what & CURL_POLL_IN) != 0 ? std::uint32_t{EPOLLIN} : 0U) |
                   ((what & CURL_POLL_OUT) != 0 ? std::uint32_t{EPOLLOUT} : 0U);
    if (what == CURL_POLL_REMOVE) {
      ::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr);
    } else if (::epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) != 0) {
      ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
    return 0;
  }
  static int set_timer(CURLM*, long milliseconds, void* self) {
    static_cast<PlainEvents*>(self)->timeout_ = milliseconds < 0 ? 1000 : milliseconds;
    return 0;
  }

  Use use_;
  sse::Parser parser_;
  CURLM* const multi_ = curl_multi_init();
  CURL* const easy_ = curl_easy_init();
  const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  long timeout_ = 0;  // milliseconds
};

}  // namespace weir::bench
