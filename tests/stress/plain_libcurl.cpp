// plain_libcurl URL COUNT: what COUNT idle bodies cost a program that uses libcurl itself, with
// the options that weir sets. Prints "<bytes of RSS before> <after>" once every body has begun.

#include <curl/curl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "net/curl_quirks.hpp"
#include "support/memory.hpp"

namespace {

struct Transfer {
  CURL* easy = nullptr;
  std::size_t header_bytes = 0;
  std::size_t body_bytes = 0;
  std::array<char, CURL_ERROR_SIZE> words{};
};

int epoll_fd = -1;
std::size_t begun = 0;  // bodies of which something has arrived

std::size_t count_header(char*, std::size_t, std::size_t size, void* self) {
  static_cast<Transfer*>(self)->header_bytes += size;
  return size;
}

std::size_t count_body(char*, std::size_t, std::size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.body_bytes == 0) ++begun;
  transfer.body_bytes += size;
  return size;
}

int allow(void*, char*, char*, int, int) { return CURL_PREREQFUNC_OK; }

int watch(CURL*, curl_socket_t fd, int what, void*, void*) {
  epoll_event event{};
  event.data.fd = fd;
  event.events = ((what & CURL_POLL_IN) != 0 ? std::uint32_t{EPOLLIN} : 0U) |
                 ((what & CURL_POLL_OUT) != 0 ? std::uint32_t{EPOLLOUT} : 0U);
  if (what == CURL_POLL_REMOVE) {
    ::epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, nullptr);
  } else if (::epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0) {
    ::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
  }
  return 0;
}

int set_timer(CURLM*, long milliseconds, void* self) {
  *static_cast<long*>(self) = milliseconds;
  return 0;
}

std::unique_ptr<Transfer> start(CURLM* multi, const char* url, curl_slist* fields) {
  auto transfer = std::make_unique<Transfer>();
  CURL* const easy = transfer->easy = curl_easy_init();
  const long buffer =
      weir::net::CurlQuirks::of(curl_version_info(CURLVERSION_NOW)->version_num).buffer_size;
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, buffer);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->words.data());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields);
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "GET");
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &count_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer.get());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &count_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer.get());
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &allow);
  curl_multi_add_handle(multi, easy);
  return transfer;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::size_t count = std::strtoull(argv[2], nullptr, 10);
  curl_global_init(CURL_GLOBAL_ALL);
  epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
  long due = -1;  // ms
  CURLM* const multi = curl_multi_init();
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &watch);
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &set_timer);
  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, &due);
  curl_multi_setopt(multi, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
  curl_slist* const fields = curl_slist_append(nullptr, "User-Agent: weir/0.1");

  // One after the other, as a program that waits for each response does.
  std::vector<std::unique_ptr<Transfer>> transfers;
  transfers.reserve(count + 1);
  std::size_t before = 0;
  while (begun <= count) {
    if (transfers.size() == begun) {
      if (begun == 1) before = weir::test::rss();  // the first one warms up
      transfers.push_back(start(multi, argv[1], fields));
    }
    std::array<epoll_event, 64> events;
    const int ready = ::epoll_wait(epoll_fd, events.data(), 64, static_cast<int>(due));
    int running = 0;
    if (ready == 0) {
      due = -1;
      curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    for (int i = 0; i < ready; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const int what = ((event.events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                       ((event.events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0);
      curl_multi_socket_action(multi, event.data.fd, what, &running);
    }
    int left = 0;
    if (curl_multi_info_read(multi, &left) != nullptr) return 1;  // none may end
  }
  std::printf("%zu %zu\n", before, weir::test::rss());
  std::fflush(stdout);
  for (const auto& transfer : transfers) {
    curl_multi_remove_handle(multi, transfer->easy);
    curl_easy_cleanup(transfer->easy);
  }
  curl_slist_free_all(fields);
  curl_multi_cleanup(multi);
  ::close(epoll_fd);
  return 0;
}
