#include "net/curl_driver.hpp"

#include <pthread.h>
#include <signal.h>

#include <system_error>
#include <utility>

#include "net/caller_signals.hpp"
#include "net/curl_setup.hpp"

namespace weir::net {

namespace {

using detail::TimePoint;

// Body bytes of one turn, up to which a reader may be left to drive the next.
constexpr std::uint64_t kLittle = std::uint64_t{64} << 10;

template <class T>
void set_multi(CURLM* multi, CURLMoption option, T value) {
  check_multi(curl_multi_setopt(multi, option, value));
}

CurlQuirks running_quirks() {
  initialize_curl();
  const curl_version_info_data& info = *curl_version_info(CURLVERSION_NOW);
  return CurlQuirks::of(info.version_num, (info.features & CURL_VERSION_HTTP2) != 0);
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
    char* owner = nullptr;  // none: a handle of libcurl's own
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &owner);
    auto* const exchange = reinterpret_cast<CurlExchange*>(owner);
    if (exchange != nullptr && what != CURL_POLL_REMOVE) exchange->use_socket(fd);
    if (driver.sockets_.watch(fd, interest) || exchange == nullptr) return 0;
    driver.lose_watch(*exchange);
    return 0;
  }
  static int timer(CURLM*, long milliseconds, void* self) noexcept {
    auto& driver = *static_cast<CurlDriver*>(self);
    const auto delay = driver.spin_guard_.clamp(std::chrono::milliseconds(milliseconds));
    if (milliseconds < 0) {
      driver.curl_due_ = TimePoint::max();
    } else {  // at once: in this turn, if it has not passed the timer yet
      driver.curl_due_ = delay.count() == 0 ? driver.now_ : driver.hub_->clock.now() + delay;
    }
    return 0;
  }
  static int close(void* self, curl_socket_t socket) noexcept {
    static_cast<CurlDriver*>(self)->sockets_.close(socket);
    return 0;
  }
};

CurlDriver::CurlDriver(const ClientOptions& options, TraceSink* trace)
    : options_(options),
      trace_(trace),
      quirks_(running_quirks()),
      tls_(options_.tls),
      route_(options_),
      helm_hub_(std::make_shared<HelmHub>(*this, options.memory_budget)),
      hub_(helm_hub_),
      loop_(helm_hub_->helm.bell()),
      sockets_(loop_),
      multi_(made<MultiHandle>(curl_multi_init())),
      limit_(options_.max_connections, options_.max_connections_per_host),
      now_(hub_->clock.now()) {
  orphans_.reserve(LookupGate::kMost);
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
  set_multi(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, 0L);  // follow_active() may set another
  set_multi(multi, CURLMOPT_MAX_HOST_CONNECTIONS, 0L);
  follow_active();
  if (!quirks_.share_tls_sessions) return;
  share_ = made<ShareHandle>(curl_share_init());  // used by one thread: needs no locks
  curl_share_setopt(share_.get(), CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
}

CurlDriver::~CurlDriver() { stop(); }

void CurlDriver::start(std::shared_ptr<Exchange> exchange) {
  // Once the exchange has begun this driver may be destroyed.
  const std::shared_ptr<HelmHub> hub = helm_hub_;
  if (hub->helm.add(exchange)) return;
  const std::lock_guard joined(stop_mutex_);  // the I/O thread is gone: the role is free
  hub_->io.acquire();
  RequestTrace unheard;
  report(*exchange, unheard, [&] { exchange->fail(client_destroyed(exchange->request.url)); });
  hub_->flush();
  hub_->io.release();
}

void CurlDriver::start_and_wait(std::shared_ptr<Exchange> exchange) {
  if (!helm_hub_->helm.take()) return start(std::move(exchange));
  hub_->io.acquire();
  now_ = hub_->clock.now();
  begin(exchange);
  hub_->io.release();
  drive_for(*exchange, &flow::Channel::head_ready, TimePoint::max());
}

bool HelmHub::work_until(flow::Channel& channel, There there, TimePoint deadline) {
  return helm.take() && driver.drive_for(channel, there, deadline);
}

/// The caller has taken the helm; leaves it, after which this driver may be destroyed.
bool CurlDriver::drive_for(flow::Channel& channel, flow::Hub::There there, TimePoint deadline) {
  const std::shared_ptr<HelmHub> hub = helm_hub_;
  hub_->io.acquire();
  const bool is_there = drive_until(channel, there, deadline);
  const Helm::Leave how = how_to_leave(true);
  hub_->io.release();
  hub->helm.leave(how);
  return is_there;
}

/// For a caller: carries out the one exchange that is under way.
bool CurlDriver::drive_until(flow::Channel& channel, flow::Hub::There there, TimePoint deadline) {
  const CallerSignals signals;
  loop_.block_while_waiting(&signals.while_waiting());
  if (curl_due_ <= now_) turn({});
  bool is_there = (channel.*there)();
  while (!is_there && active_.size() == 1 && helm_hub_->helm.undisturbed() &&
         hub_->clock.now() < deadline) {
    turn(wait(deadline));
    is_there = (channel.*there)();
  }
  loop_.block_while_waiting(nullptr);
  return is_there;
}

// Where much arrives at once, the reader and libcurl are faster side by side.
Helm::Leave CurlDriver::how_to_leave(bool reader_comes) const noexcept {
  const bool idle = active_.empty() && lookups_.empty() && curl_due_ == TimePoint::max() &&
                    !sockets_.watches_any();
  if (idle) return Helm::Leave::idle;
  const bool lend = reader_comes && active_.size() == 1 && moved_ <= kLittle;
  return lend ? Helm::Leave::lend : Helm::Leave::go_on;
}

void CurlDriver::stop() noexcept {
  const std::lock_guard one_at_a_time(stop_mutex_);
  if (!thread_.joinable()) return;
  helm_hub_->helm.stop();
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
  stats.redirects = read(redirects_);
  stats.active = read(active_count_);
  stats.queued = read(queued_count_);
  stats.connections_opened = sockets_.opened();
  stats.connections_open = sockets_.still_open();
  stats.wakeups = read(turns_);
  stats.libcurl = curl_version_info(CURLVERSION_NOW)->version;
  return stats;
}

void CurlDriver::apply_to(CURL* easy) {
  set_option(easy, CURLOPT_CLOSESOCKETFUNCTION, &DriverCallbacks::close);
  set_option(easy, CURLOPT_CLOSESOCKETDATA, this);
  if (share_) set_option(easy, CURLOPT_SHARE, share_.get());
  tls_.apply(easy);
  route_.apply(easy);
}

std::unique_ptr<Driver> make_curl_driver(const ClientOptions& options, TraceSink* trace) {
  return std::make_unique<CurlDriver>(options, trace);
}

}  // namespace weir::net
