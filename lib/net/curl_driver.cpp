#include "net/curl_driver.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "net/curl_setup.hpp"

namespace weir::net {

namespace {

using detail::TimePoint;

constexpr int kMostAddresses = 64;  // of one host, tried in one turn

void check_multi(CURLMcode result) {
  if (result == CURLM_OUT_OF_MEMORY) throw std::bad_alloc();
  if (result != CURLM_OK)
    throw Error({.code = errc::unsupported, .detail = curl_multi_strerror(result)});
}

template <class T>
void set_multi(CURLM* multi, CURLMoption option, T value) {
  check_multi(curl_multi_setopt(multi, option, value));
}

void count(std::atomic<std::uint64_t>& counter) noexcept {
  counter.fetch_add(1, std::memory_order_relaxed);
}

std::uint64_t read(const std::atomic<std::uint64_t>& counter) noexcept {
  return counter.load(std::memory_order_relaxed);
}

}  // namespace

// What libcurl calls for the multi handle: `self` is the CurlDriver.
struct DriverCallbacks {
  // -1 would make libcurl give up all transfers at once: only the one concerned fails.
  static int socket(CURL* easy, curl_socket_t fd, int what, void* self, void*) noexcept {
    auto& driver = *static_cast<CurlDriver*>(self);
    const Interest interest{.read = what == CURL_POLL_IN || what == CURL_POLL_INOUT,
                            .write = what == CURL_POLL_OUT || what == CURL_POLL_INOUT};
    if (driver.sockets_.watch(fd, interest)) return 0;
    char* owner = nullptr;  // none: a handle of libcurl's own
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &owner);
    if (owner == nullptr) return 0;
    reinterpret_cast<CurlExchange*>(owner)->lose_watch();
    driver.watch_failed_ = true;
    return 0;
  }
  static int timer(CURLM*, long milliseconds, void* self) noexcept {
    auto& driver = *static_cast<CurlDriver*>(self);
    driver.curl_due_ = milliseconds < 0
                           ? TimePoint::max()
                           : driver.hub_->clock.now() +
                                 driver.spin_guard_.clamp(std::chrono::milliseconds(milliseconds));
    return 0;
  }
  static curl_socket_t open(void* self, curlsocktype, curl_sockaddr* address) noexcept {
    auto& sockets = static_cast<CurlDriver*>(self)->sockets_;
    return sockets.open(address->family, address->socktype, address->protocol);
  }
  static int close(void* self, curl_socket_t socket) noexcept {
    static_cast<CurlDriver*>(self)->sockets_.close(socket);
    return 0;
  }
};

CurlDriver::CurlDriver(const ClientOptions& options)
    : options_(options),
      quirks_((initialize_curl(), CurlQuirks::of(curl_version_info(CURLVERSION_NOW)->version_num))),
      bell_hub_(std::make_shared<BellHub>(options.memory_budget, detail::Clock::steady())),
      hub_(bell_hub_),
      loop_(bell_hub_->bell),
      sockets_(loop_),
      multi_(made<MultiHandle>(curl_multi_init())),
      now_(hub_->clock.now()) {
  set_up_multi();
  start_thread();
}

void CurlDriver::start_thread() {
  // Signals are for the program's own threads; the mask is inherited from the first instruction on.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = 0;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    failed = error.code().value();
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failed != 0) {
    throw Error({.code = errc::resource_exhausted,
                 .detail = "thread: " + std::generic_category().message(failed)});
  }
}

void CurlDriver::set_up_multi() {
  CURLM* multi = multi_.get();
  set_multi(multi, CURLMOPT_SOCKETFUNCTION, &DriverCallbacks::socket);
  set_multi(multi, CURLMOPT_SOCKETDATA, this);
  set_multi(multi, CURLMOPT_TIMERFUNCTION, &DriverCallbacks::timer);
  set_multi(multi, CURLMOPT_TIMERDATA, this);
  set_multi(multi, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
  set_multi(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, 0L);
  set_multi(multi, CURLMOPT_MAX_HOST_CONNECTIONS, 0L);
  follow_active();
  if (!quirks_.share_tls_sessions) return;
  share_ = made<ShareHandle>(curl_share_init());  // used by one thread: needs no locks
  curl_share_setopt(share_.get(), CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
}

CurlDriver::~CurlDriver() { stop(); }

void CurlDriver::start(std::shared_ptr<Exchange> exchange) {
  std::unique_lock lock(mutex_);
  if (stopping_) {
    lock.unlock();
    const std::lock_guard joined(stop_mutex_);  // the I/O thread is gone: the role is free
    hub_->io.acquire();
    try {
      abort(*exchange);
    } catch (const std::bad_alloc&) {
      exchange->fail_out_of_memory();
    }
    hub_->flush();
    hub_->io.release();
    return;
  }
  inbox_.push_back(std::move(exchange));
  // Under the lock: once the exchange has begun, this driver may be destroyed.
  if (inbox_.size() == 1) bell_hub_->ring();
}

void CurlDriver::stop() noexcept {
  const std::lock_guard one_at_a_time(stop_mutex_);
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  bell_hub_->ring();
  thread_.join();
}

ClientStats CurlDriver::stats() const {
  const flow::HubStats flow = hub_->stats();
  ClientStats stats;
  stats.bytes_received = flow.bytes_received;
  stats.pauses = flow.pauses;
  stats.resumes = flow.resumes;
  stats.cancelled_while_paused = flow.cancelled_while_paused;
  stats.paused = flow.paused;
  stats.queue_memory = flow.queue_memory;
  stats.peak_queue_memory = flow.peak_queue_memory;
  stats.credit_wakeups = flow.rings;
  // acquire: what was started is among the active ones, unless it is over; pairs with begin().
  stats.requests = requests_.load(std::memory_order_acquire);
  stats.active = read(active_count_);
  stats.connections_opened = sockets_.opened();
  stats.connections_open = sockets_.still_open();
  stats.wakeups = read(turns_);
  stats.libcurl = curl_version_info(CURLVERSION_NOW)->version;
  return stats;
}

// -- The I/O thread.

void CurlDriver::run() {
  ::pthread_setname_np(::pthread_self(), "weir-io");
  hub_->io.acquire();
  for (;;) {
    turn();
    const std::lock_guard lock(mutex_);
    if (stopping_) break;
  }
  abort_all();
  hub_->io.release();
}

void CurlDriver::turn() {
  const auto ready = loop_.wait(std::min(curl_due_, deadlines_.next()), hub_->clock.now());
  now_ = hub_->clock.now();
  count(turns_);
  begin_new();
  hub_->process();
  drive(ready);
  reap();
  expire_deadlines();
  hub_->flush();
}

void CurlDriver::begin_new() {
  std::vector<std::shared_ptr<Exchange>> batch;
  {
    const std::lock_guard lock(mutex_);
    batch.swap(inbox_);
  }
  if (!batch.empty()) now_ = hub_->clock.now();  // no deadline counts from before the call
  for (auto& exchange : batch) begin(std::move(exchange));
}

void CurlDriver::begin(std::shared_ptr<Exchange> exchange) {
  try {
    try {
      add(exchange);
    } catch (const Error& error) {
      exchange->fail(error.failure());
    }
  } catch (const std::bad_alloc&) {
    exchange->fail_out_of_memory();
  }
  // release: after it was added to the active ones, pairs with stats().
  requests_.fetch_add(1, std::memory_order_release);
}

void CurlDriver::add(const std::shared_ptr<Exchange>& exchange) {
  deadlines_.reserve(active_.size() + 1);
  auto& transfer = *active_.emplace_back(std::make_unique<CurlExchange>(*this, exchange));
  transfer.place = active_.size() - 1;
  const CURLMcode added = curl_multi_add_handle(multi_.get(), transfer.easy());
  if (added != CURLM_OK) active_.pop_back();
  check_multi(added);
  spin_guard_.progress();
  follow_active();
}

void CurlDriver::drive(std::span<const Event> ready) {
  for (const Event& event : ready) {
    spin_guard_.progress();
    drive(event.fd, (event.readable ? CURL_CSELECT_IN : 0) |
                        (event.writable ? CURL_CSELECT_OUT : 0) |
                        (event.failed ? CURL_CSELECT_ERR : 0));
  }
  if (curl_due_ <= now_) {
    curl_due_ = TimePoint::max();
    spin_guard_.expired();
    drive(CURL_SOCKET_TIMEOUT, 0);
  }
  // Each pass may find the next address refused as well.
  for (int passes = 0; passes < kMostAddresses && sockets_.take_lost(); ++passes) drive_all();
  if (std::exchange(watch_failed_, false)) fail_unwatched();
}

void CurlDriver::fail_unwatched() {
  for (std::size_t place = active_.size(); place-- > 0;) {
    if (active_[place]->fail_unwatched()) release(*active_[place]);
  }
}

// Deprecated for its cost, and wanted for just that: it runs every transfer.
void CurlDriver::drive_all() {
  int running = 0;
  CURL_IGNORE_DEPRECATION(curl_multi_socket_all(multi_.get(), &running);)
}

void CurlDriver::drive(curl_socket_t socket, int events) {
  int running = 0;
  // Failures of single transfers come as messages; the call itself fails only on misuse.
  curl_multi_socket_action(multi_.get(), socket, events, &running);
}

void CurlDriver::reap() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    char* self = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &self);
    auto& exchange = *reinterpret_cast<CurlExchange*>(self);
    spin_guard_.progress();
    if (exchange.wants_other_connection()) {
      use_other_connection(exchange);
      continue;
    }
    exchange.complete(message->data.result);
    release(exchange);
  }
}

void CurlDriver::use_other_connection(CurlExchange& exchange) {
  curl_multi_remove_handle(multi_.get(), exchange.easy());
  curl_easy_setopt(exchange.easy(), CURLOPT_FRESH_CONNECT, 1L);
  if (curl_multi_add_handle(multi_.get(), exchange.easy()) == CURLM_OK) return;
  exchange.complete(CURLE_OUT_OF_MEMORY);
  release(exchange);
}

void CurlDriver::expire_deadlines() {
  while (DeadlineNode* node = deadlines_.take_expired(now_)) {
    auto& exchange = static_cast<CurlExchange&>(*node);
    if (exchange.expire(now_)) release(exchange);
  }
}

void CurlDriver::release(CurlExchange& exchange) noexcept {
  const std::size_t place = exchange.place;
  curl_multi_remove_handle(multi_.get(), exchange.easy());
  const auto gone = std::exchange(active_[place], nullptr);
  if (place + 1 != active_.size()) {
    active_[place] = std::move(active_.back());
    active_[place]->place = place;
  }
  active_.pop_back();
  follow_active();
}

// libcurl closes idle connections when idle and active ones together exceed MAXCONNECTS.
void CurlDriver::follow_active() {
  active_count_.store(active_.size(), std::memory_order_relaxed);
  const auto limit = static_cast<long>(active_.size()) + options_.max_idle_connections;
  curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, std::max(limit, 1L));
}

void CurlDriver::abort(Exchange& exchange) {
  exchange.fail(
      {.code = errc::aborted, .detail = "the client was destroyed", .url = exchange.request.url});
}

void CurlDriver::abort_all() {
  begin_new();
  while (!active_.empty()) {
    active_.back()->abort();
    release(*active_.back());
  }
  multi_.reset();
  hub_->flush();
  hub_->close();
}

// -- Sockets.

void CurlDriver::apply_to(CURL* easy) {
  set_option(easy, CURLOPT_OPENSOCKETFUNCTION, &DriverCallbacks::open);
  set_option(easy, CURLOPT_OPENSOCKETDATA, this);
  set_option(easy, CURLOPT_CLOSESOCKETFUNCTION, &DriverCallbacks::close);
  set_option(easy, CURLOPT_CLOSESOCKETDATA, this);
  if (share_) set_option(easy, CURLOPT_SHARE, share_.get());
}

std::unique_ptr<Driver> make_curl_driver(const ClientOptions& options) {
  return std::make_unique<CurlDriver>(options);
}

}  // namespace weir::net
