#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "harness/connection.hpp"
#include "harness/socket.hpp"
#include "harness/tls.hpp"
#include "weir/harness/firehose.hpp"

namespace weir::harness {

/// The listening socket, the connections and the loop that drives them.
/// Thread-safety: `stop`, `port` and `ca_pem` from any thread; `run` once, on the server's.
class Server {
 public:
  Server(const FirehoseOptions& options, StatsBoard& stats);

  /// Serves until `stop`, then closes everything.
  void run();
  void stop() noexcept;

  std::uint16_t port() const noexcept { return port_; }
  const std::string& ca_pem() const noexcept { return ca_pem_; }

 private:
  struct Entry {
    std::unique_ptr<Connection> connection;
    std::optional<Clock::time_point> wake_at;
  };

  int timeout() const;  // of epoll_wait, milliseconds
  void accept_all();
  void pause_accepting(bool pause);
  void add(Fd fd);
  void drive(int fd, std::uint32_t events);
  void drive_ready();
  void drive_timers();
  void set_timer(int fd, Entry& entry, std::optional<Clock::time_point> at);

  StatsBoard& stats_;
  bool http2_;
  Fd listener_;
  Fd epoll_;
  Fd stop_;
  std::uint16_t port_ = 0;
  std::string ca_pem_;
  std::unique_ptr<TlsContext> tls_;
  std::unique_ptr<ConnectionContext> context_;
  std::unordered_map<int, Entry> entries_;  // by descriptor
  std::set<std::pair<Clock::time_point, int>> timers_;
  std::vector<int> ready_;  // had their turn, could go on
  bool accepting_ = true;   // false: out of descriptors
  std::atomic<bool> stopping_ = false;
};

}  // namespace weir::harness
