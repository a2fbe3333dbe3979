#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/deadlines.hpp"
#include "net/connection_limit.hpp"
#include "net/curl_exchange.hpp"
#include "net/curl_handle.hpp"
#include "net/curl_handle_pool.hpp"
#include "net/curl_quirks.hpp"
#include "net/curl_route.hpp"
#include "net/curl_tls.hpp"
#include "net/driver.hpp"
#include "net/event_loop.hpp"
#include "net/helm.hpp"
#include "net/lookup_gate.hpp"
#include "net/socket_table.hpp"
#include "net/spin_guard.hpp"

namespace weir::net {

class CurlDriver;

/// Hub that rings at the helm. It outlives the driver as long as some Channel does.
class HelmHub final : public flow::Hub {
 public:
  HelmHub(CurlDriver& its_driver, std::size_t memory_budget)
      : Hub(memory_budget, detail::Clock::steady()), driver(its_driver) {}
  void ring() noexcept override { helm.ring(); }
  bool work_until(flow::Channel& channel, There there, detail::TimePoint deadline) override;

  Helm helm;
  CurlDriver& driver;  // for who is at the helm
};

/// One libcurl multi handle, driven by an I/O thread, or by a lone caller who waits (helm.hpp).
/// "I/O thread" means either, below and elsewhere in net.
///
/// A turn of the loop: wait; begin new exchanges; act on what readers reported; let libcurl work on
/// ready sockets and its timer; report what it finished; expire deadlines; wake the readers
/// concerned, once each, unless much had come before.
///
/// Each streaming transfer has a connection of its own (CURLPIPE_NOTHING): a paused one is simply
/// not read, which is what bounds memory on every libcurl.
/// Thread-safety: the Driver members from any thread; the others from the I/O thread.
class CurlDriver final : public Driver {
 public:
  /// `trace` may be null. Throws Error resource_exhausted or invalid_argument.
  CurlDriver(const ClientOptions& options, TraceSink* trace);
  ~CurlDriver() override;

  void start(std::shared_ptr<Exchange> exchange) override;
  void start_and_wait(std::shared_ptr<Exchange> exchange) override;
  void stop() noexcept override;
  ClientStats stats() const override;
  const std::shared_ptr<flow::Hub>& hub() const noexcept override { return hub_; }

  // For CurlExchange, on the I/O thread.

  const ClientOptions& options() const noexcept { return options_; }
  const CurlQuirks& quirks() const noexcept { return quirks_; }
  const CurlRoute& route() const noexcept { return route_; }
  detail::Deadlines& deadlines() noexcept { return deadlines_; }
  SpinGuard& spin_guard() noexcept { return spin_guard_; }
  /// When this turn, or its latest event, began.
  detail::TimePoint now() const noexcept { return now_; }
  SocketTable& sockets() noexcept { return sockets_; }
  CurlHandlePool& handles() noexcept { return handles_; }
  LookupGate& lookups() noexcept { return lookups_; }
  /// The exchange's socket cannot be watched: it fails at the next turn.
  void lose_watch(CurlExchange& exchange) noexcept {
    exchange.lose_watch();
    watch_failed_ = true;
  }
  /// Some exchange has an unread socket.
  void read_again() noexcept { read_again_ = true; }
  /// Sets the options that tie a handle to this driver, and those of TLS and of the route.
  void apply_to(CURL* easy);
  /// Takes the transfer out of libcurl and destroys it. Only from the top of the loop.
  void release(CurlExchange& exchange) noexcept;
  /// The same, and closes its connection. HTTP/1.1 has no other way out of the middle of a
  /// response. HTTP/2 could reset the stream; but what is on its way by then (measured: up to 4
  /// MiB, what the kernels hold; and 7.88.1 sends the RST_STREAM only with the next request) that
  /// request would have to read first, and a server that leaves one request unanswered may be gone.
  void cut(CurlExchange& exchange) noexcept;

 private:
  friend struct DriverCallbacks;
  friend class HelmHub;

  void set_up_multi();
  void start_thread();
  void run();
  bool drive_for(flow::Channel& channel, flow::Hub::There there, detail::TimePoint deadline);
  bool drive_until(flow::Channel& channel, flow::Hub::There there, detail::TimePoint deadline)
      WEIR_REQUIRES(hub_->io);
  std::span<const Event> wait(detail::TimePoint deadline) WEIR_REQUIRES(hub_->io);
  std::size_t turn(std::span<const Event> ready) WEIR_REQUIRES(hub_->io);
  Helm::Leave how_to_leave(bool reader_comes) const noexcept WEIR_REQUIRES(hub_->io);
  void begin_new() WEIR_REQUIRES(hub_->io);
  void begin(const std::shared_ptr<Exchange>& exchange) WEIR_REQUIRES(hub_->io);
  bool launch(const std::shared_ptr<Exchange>& exchange, Journey journey) noexcept
      WEIR_REQUIRES(hub_->io);
  void add(const std::shared_ptr<Exchange>& exchange, const Journey& journey);
  void start_or_queue(CurlExchange& transfer);
  bool try_start(CurlExchange& transfer);
  void forget_turn(CurlExchange& transfer) noexcept;
  void start_queued() WEIR_REQUIRES(hub_->io);
  void drive(std::span<const Event> ready) WEIR_REQUIRES(hub_->io);
  void drive(curl_socket_t socket, int events);
  void drive_all();
  void fail_unwatched() WEIR_REQUIRES(hub_->io);
  void read_unread();
  void reap() WEIR_REQUIRES(hub_->io);
  void use_other_connection(CurlExchange& exchange) noexcept WEIR_REQUIRES(hub_->io);
  void end_lookup(CurlExchange& exchange, CURLcode result) noexcept WEIR_REQUIRES(hub_->io);
  void serve_lookups() noexcept WEIR_REQUIRES(hub_->io);
  void add_again(CurlExchange& exchange) noexcept WEIR_REQUIRES(hub_->io);
  void leave(CurlExchange& exchange) noexcept WEIR_REQUIRES(hub_->io);
  void expire_deadlines() WEIR_REQUIRES(hub_->io);
  void abort_all() WEIR_REQUIRES(hub_->io);
  void follow_active();

  const ClientOptions options_;
  TraceSink* const trace_;  // null: nobody listens
  const CurlQuirks quirks_;
  const CurlTls tls_;
  const CurlRoute route_;
  const std::shared_ptr<HelmHub> helm_hub_;
  const std::shared_ptr<flow::Hub> hub_;  // the same, as Channels see it
  EventLoop loop_;
  SocketTable sockets_;
  ShareHandle share_;       // null where libcurl needs none
  CurlHandlePool handles_;  // which use share_
  MultiHandle multi_;
  detail::Deadlines deadlines_;
  SpinGuard spin_guard_;
  LookupGate lookups_;
  std::vector<std::unique_ptr<CurlExchange>> active_;
  ConnectionLimit limit_;
  std::vector<CurlExchange*> queued_;  // of the active ones, in the order in which they may start
  std::size_t room_ = 0;               // connections given back since start_queued()
  std::vector<std::unique_ptr<CurlExchange>> orphans_;  // at most LookupGate::kMost
  Helm::Inbox batch_;                                   // empty, but its memory is kept
  detail::TimePoint now_;
  detail::TimePoint curl_due_ = detail::TimePoint::max();  // libcurl's timer
  bool watch_failed_ = false;                              // for some transfer, since the last look
  bool read_again_ = false;
  std::uint64_t moved_ = 0;  // body bytes that the last turn took in
  std::uint64_t begun_ = 0;  // names requests in traces

  // Counters: written by the I/O thread, read by any; each stands alone.
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> redirects_{0};
  std::atomic<std::uint64_t> active_count_{0};
  std::atomic<std::uint64_t> queued_count_{0};
  std::atomic<std::uint64_t> turns_{0};

  std::mutex stop_mutex_;  // one stop() at a time
  std::thread thread_;     // joined under stop_mutex_
};

}  // namespace weir::net
