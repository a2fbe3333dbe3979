#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/url_text.hpp"
#include "net/curl_driver.hpp"
#include "net/curl_setup.hpp"

namespace weir::net {

namespace {

using detail::TimePoint;

constexpr int kMostAddresses = 64;  // of one host, tried in one turn

std::span<const Event> no_events() noexcept { return {}; }

void count(std::atomic<std::uint64_t>& counter) noexcept {
  counter.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

void CurlDriver::run() {
  ::pthread_setname_np(::pthread_self(), "weir-io");
  Helm& helm = helm_hub_->helm;
  for (;;) {
    helm.await();
    hub_->io.acquire();
    begin_new();
    std::size_t woken = turn(helm.bell().rung() ? wait(TimePoint::max()) : no_events());
    Helm::Leave how = how_to_leave(woken != 0);
    while (!helm.stopping() && how == Helm::Leave::go_on) {
      const auto ready = wait(TimePoint::max());
      begin_new();
      woken = turn(ready);
      how = how_to_leave(woken != 0);
    }
    if (helm.stopping()) break;
    hub_->io.release();
    helm.leave(how);
  }
  abort_all();
  hub_->io.release();
}

std::span<const Event> CurlDriver::wait(TimePoint deadline) {
  const TimePoint first = std::min({deadline, curl_due_, deadlines_.next()});
  return loop_.wait(first, hub_->clock.now());
}

/// What is left to do after a wait; returns how many threads it has woken.
std::size_t CurlDriver::turn(std::span<const Event> ready) {
  now_ = hub_->clock.now();
  count(turns_);
  const std::uint64_t before = hub_->bytes_received();
  hub_->process();
  drive(ready);
  reap();
  expire_deadlines();
  if (!lookups_.empty() || !orphans_.empty()) serve_lookups();
  if (room_ > 0) start_queued();
  moved_ = hub_->bytes_received() - before;
  return hub_->flush();
}

void CurlDriver::begin_new() {
  helm_hub_->helm.take_inbox(batch_);
  if (!batch_.empty()) now_ = hub_->clock.now();  // no deadline counts from before the call
  for (const auto& exchange : batch_) begin(exchange);
  batch_.clear();
}

void CurlDriver::begin(const std::shared_ptr<Exchange>& exchange) {
  RequestTrace trace(trace_, hub_->clock, *exchange, ++begun_);
  trace.step(TraceKind::request);
  launch(exchange, {trace, now_, now_});
  // release: after it was added to the active ones, pairs with stats().
  requests_.fetch_add(1, std::memory_order_release);
}

/// False: the exchange has failed.
bool CurlDriver::launch(const std::shared_ptr<Exchange>& exchange, Journey journey) noexcept {
  bool launched = false;
  report(*exchange, journey.trace, [&] {
    try {
      add(exchange, journey);
      launched = true;
    } catch (const Error& error) {
      Failure failure = error.failure();
      failure.url = detail::without_credentials(exchange->request.url);
      journey.trace.failure(failure.code);
      exchange->fail(std::move(failure));
    }
  });
  return launched;
}

void CurlDriver::add(const std::shared_ptr<Exchange>& exchange, const Journey& journey) {
  deadlines_.reserve(active_.size() + 1);
  auto& transfer = *active_.emplace_back(std::make_unique<CurlExchange>(*this, exchange, journey));
  transfer.place = active_.size() - 1;
  try {
    start_or_queue(transfer);
  } catch (...) {
    active_.pop_back();
    throw;
  }
  follow_active();
}

void CurlDriver::drive(std::span<const Event> ready) {
  for (const Event& event : ready) {
    // What follows much work is not dated before it: its idle deadline would come too soon.
    if (&event != &ready.front()) now_ = hub_->clock.now();
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
  if (std::exchange(read_again_, false)) read_unread();
  // Each pass may find the next address refused as well.
  for (int passes = 0; passes < kMostAddresses && sockets_.take_lost(); ++passes) drive_all();
  if (std::exchange(watch_failed_, false)) fail_unwatched();
}

void CurlDriver::fail_unwatched() {
  for (std::size_t place = active_.size(); place-- > 0;) {
    if (active_[place]->fail_unwatched()) leave(*active_[place]);
  }
}

void CurlDriver::read_unread() {
  for (const auto& exchange : active_) {
    const curl_socket_t socket = exchange->take_unread();
    if (socket != CURL_SOCKET_BAD) drive(socket, CURL_CSELECT_IN);
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
    if (exchange.looks_up()) end_lookup(exchange, message->data.result);
    if (exchange.is_orphan()) continue;
    if (exchange.held()) {
      curl_multi_remove_handle(multi_.get(), exchange.easy());
      continue;
    }
    if (exchange.wants_other_connection() || exchange.may_go_again(message->data.result)) {
      use_other_connection(exchange);
      continue;
    }
    exchange.complete(message->data.result);
    exchange.redirected() ? leave(exchange) : release(exchange);
  }
}

/// As cut(), or goes on to where it was redirected.
void CurlDriver::leave(CurlExchange& exchange) noexcept {
  if (exchange.redirected()) {
    count(redirects_);
    exchange.take_hop();
    // The next transfer takes the Channel over before this one would end it.
    if (launch(exchange.exchange(), exchange.journey())) exchange.let_go();
  }
  cut(exchange);
}

void CurlDriver::use_other_connection(CurlExchange& exchange) noexcept {
  curl_multi_remove_handle(multi_.get(), exchange.easy());
  curl_easy_setopt(exchange.easy(), CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(exchange.easy(), CURLOPT_FORBID_REUSE, forbid_reuse(options_));
  exchange.forget_connection();
  add_again(exchange);
}

/// A lookup that failed has failed for all who ask the same.
void CurlDriver::end_lookup(CurlExchange& exchange, CURLcode result) noexcept {
  const bool failed = result == CURLE_COULDNT_RESOLVE_HOST || result == CURLE_COULDNT_RESOLVE_PROXY;
  if (failed && !exchange.lookup_over()) {
    for (LookupSeeker* const other : lookups_.take_companions(exchange)) {
      auto& companion = static_cast<CurlExchange&>(*other);
      companion.share_lookup(exchange, result);
      release(companion);
    }
  }
  lookups_.leave(exchange);
}

/// At the end of the turn: after everything that may have ended a lookup.
void CurlDriver::serve_lookups() noexcept {
  lookups_.settle();
  for (std::size_t i = orphans_.size(); i-- > 0;) {
    if (orphans_[i]->keeps_looking()) continue;
    curl_multi_remove_handle(multi_.get(), orphans_[i]->easy());
    std::swap(orphans_[i], orphans_.back());
    orphans_.pop_back();
  }
  while (LookupSeeker* const next = lookups_.next()) add_again(static_cast<CurlExchange&>(*next));
}

void CurlDriver::add_again(CurlExchange& exchange) noexcept {
  exchange.prepare_again();
  spin_guard_.progress();
  if (curl_multi_add_handle(multi_.get(), exchange.easy()) == CURLM_OK) return;
  exchange.complete(CURLE_OUT_OF_MEMORY);
  release(exchange);
}

void CurlDriver::expire_deadlines() {
  while (detail::DeadlineNode* node = deadlines_.take_expired(now_)) {
    auto& exchange = static_cast<CurlExchange&>(*node);
    if (exchange.expire(now_)) leave(exchange);
  }
}

void CurlDriver::release(CurlExchange& exchange) noexcept {
  const std::size_t place = exchange.place;
  forget_turn(exchange);
  auto gone = std::exchange(active_[place], nullptr);
  if (gone->keeps_looking()) {
    gone->become_orphan();
    orphans_.push_back(std::move(gone));
  } else {
    curl_multi_remove_handle(multi_.get(), gone->easy());
  }
  if (place + 1 != active_.size()) {
    active_[place] = std::move(active_.back());
    active_[place]->place = place;
  }
  active_.pop_back();
  follow_active();
}

void CurlDriver::cut(CurlExchange& exchange) noexcept {
  curl_easy_setopt(exchange.easy(), CURLOPT_FORBID_REUSE, 1L);
  release(exchange);
}

// libcurl closes idle connections when idle and active ones together exceed MAXCONNECTS.
void CurlDriver::follow_active() {
  active_count_.store(active_.size(), std::memory_order_relaxed);
  queued_count_.store(queued_.size(), std::memory_order_relaxed);
  const auto limit =
      static_cast<long>(active_.size() - queued_.size()) + options_.max_idle_connections;
  curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, std::max(limit, 1L));
  if (options_.max_connections == 0) return;
  // Of no more than the transfers that run may need, so that it closes idle ones to make room; but
  // none ever waits in libcurl, for orphans least of all.
  const auto most = options_.max_connections + static_cast<long>(orphans_.size());
  curl_multi_setopt(multi_.get(), CURLMOPT_MAX_TOTAL_CONNECTIONS, most);
}

void CurlDriver::abort_all() {
  begin_new();
  while (!active_.empty()) {
    active_.back()->abort();
    lookups_.leave(*active_.back());
    cut(*active_.back());
  }
  for (const auto& orphan : orphans_) curl_multi_remove_handle(multi_.get(), orphan->easy());
  orphans_.clear();
  multi_.reset();
  hub_->flush();
  hub_->close();
}

}  // namespace weir::net
