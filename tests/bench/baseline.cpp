// What a program reaches that uses libcurl itself, well: one thread, multi + socket_action, epoll
// and a timerfd, its easy handles reused, and the reader's work done in the write callback.

#include <curl/curl.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "bench/client.hpp"
#include "net/curl_quirks.hpp"

namespace weir::bench {
namespace {

class Loop {
 public:
  explicit Loop(const Job& job) : job_(job), multi_(curl_multi_init()) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = timer_;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &event);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &watch);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &set_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
    fields_ = curl_slist_append(nullptr, "User-Agent: weir/0.1");
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() {
    for (CURL* easy : handles_) {
      curl_multi_remove_handle(multi_, easy);
      curl_easy_cleanup(easy);
    }
    curl_multi_cleanup(multi_);
    curl_slist_free_all(fields_);
    ::close(timer_);
    ::close(epoll_);
  }

  void run() {
    while (handles_.size() < job_.in_flight && started_ < job_.count) start(make());
    while (done_ < job_.count) turn();
  }

  std::uint64_t bytes() const noexcept { return bytes_; }
  std::uint64_t turns() const noexcept { return turns_; }

 private:
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self) {
    touch(std::as_bytes(std::span(data, size)));
    static_cast<Loop*>(self)->bytes_ += size;
    return size;
  }
  static std::size_t on_header(char*, std::size_t, std::size_t size, void*) { return size; }

  static int watch(CURL*, curl_socket_t fd, int what, void* self, void*) {
    const int epoll = static_cast<Loop*>(self)->epoll_;
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
    auto& loop = *static_cast<Loop*>(self);
    loop.due_ = milliseconds == 0;
    if (loop.due_) return 0;
    itimerspec spec{};
    if (milliseconds > 0) {
      spec.it_value.tv_sec = milliseconds / 1000;
      spec.it_value.tv_nsec = milliseconds % 1000 * 1'000'000;
    }
    ::timerfd_settime(loop.timer_, 0, &spec, nullptr);
    return 0;
  }

  CURL* make() {
    CURL* const easy = curl_easy_init();
    const long buffer = net::CurlQuirks::of(curl_version_info(CURLVERSION_NOW)->version_num)
                            .buffer_size;  // the same as ours
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, buffer);
    curl_easy_setopt(
        easy, CURLOPT_HTTP_VERSION,
        static_cast<long>(job_.http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    if (!job_.ca_file.empty()) {
      curl_easy_setopt(easy, CURLOPT_CAINFO, job_.ca_file.c_str());
      curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields_);
    curl_easy_setopt(easy, CURLOPT_URL, job_.url.c_str());
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &on_header);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
    handles_.push_back(easy);
    return easy;
  }

  void start(CURL* easy) {
    ++started_;
    if (curl_multi_add_handle(multi_, easy) != CURLM_OK) throw std::runtime_error("add_handle");
  }

  void turn() {
    int running = 0;
    std::array<epoll_event, 64> events;
    const int ready = ::epoll_wait(epoll_, events.data(), 64, due_ ? 0 : -1);
    ++turns_;
    for (int i = 0; i < ready; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.fd == timer_) {
        std::uint64_t expirations = 0;
        due_ = ::read(timer_, &expirations, sizeof expirations) > 0 || due_;
        continue;
      }
      const bool in = (event.events & (EPOLLIN | EPOLLHUP)) != 0;
      const bool out = (event.events & EPOLLOUT) != 0;
      const bool failed = (event.events & EPOLLERR) != 0;
      curl_multi_socket_action(multi_, event.data.fd,
                               (in ? CURL_CSELECT_IN : 0) | (out ? CURL_CSELECT_OUT : 0) |
                                   (failed ? CURL_CSELECT_ERR : 0),
                               &running);
    }
    if (std::exchange(due_, false)) {
      curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    reap();
  }

  void reap() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      if (message->data.result != CURLE_OK) {
        throw std::runtime_error(curl_easy_strerror(message->data.result));
      }
      CURL* const easy = message->easy_handle;
      check(easy);
      ++done_;
      curl_multi_remove_handle(multi_, easy);
      if (started_ < job_.count) start(easy);
    }
  }

  void check(CURL* easy) const {
    long status = 0;
    long version = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
    if (status != 200) throw std::runtime_error("status " + std::to_string(status));
    if ((version == CURL_HTTP_VERSION_2_0) != job_.http2) throw std::runtime_error("HTTP version");
  }

  const Job& job_;
  CURLM* const multi_;
  const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  const int timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  curl_slist* fields_ = nullptr;
  std::vector<CURL*> handles_;
  bool due_ = false;  // libcurl wants to be called at once
  std::uint64_t started_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t turns_ = 0;
};

int run(const Job& job) {
  curl_global_init(CURL_GLOBAL_ALL);
  const Meter meter;
  Loop loop(job);
  loop.run();
  meter.print(loop.bytes(), job.count, loop.turns());
  return 0;
}

}  // namespace
}  // namespace weir::bench

int main(int count, char** words) { return weir::bench::main_of(count, words, &weir::bench::run); }
