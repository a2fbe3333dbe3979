#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "harness/body_cursor.hpp"
#include "harness/pattern.hpp"
#include "harness/stats_board.hpp"

namespace weir::harness {

/// What all connections of one server thread share.
struct ConnectionContext {
  StatsBoard& stats;
  PatternWindow window;
  std::array<std::byte, 64 * 1024> scratch;  // for one read; nothing stays in it
  std::uint64_t next_body = 1;
  std::chrono::milliseconds ping_interval{0};  // HTTP/2; 0: no PING
  std::chrono::milliseconds ping_timeout{0};   // 0: unlimited patience

  static constexpr std::size_t kMaxBatch = 256 * 1024;
  /// Where one write is put together; nothing stays in it. `size`: at most kMaxBatch.
  std::span<std::byte> batch_room(std::size_t size) {
    if (!batch) batch.reset(new std::byte[kMaxBatch]);
    return {batch.get(), size};
  }
  std::unique_ptr<std::byte[]> batch{};
};

/// What a connection wants after it did what it could.
struct Wish {
  enum class Kind {
    wait,    // until its socket is ready, or `at`
    again,   // had its turn, could go on
    closed,  // destroy it
  };
  Kind kind = Kind::wait;
  std::optional<Clock::time_point> at;
};

/// One accepted socket and the protocol on it. The server registers it edge-triggered, so a
/// connection that returns `wait` has met EAGAIN or wants nothing.
/// Thread-safety: the server's thread.
class Connection {
 public:
  virtual ~Connection() = default;
  /// `events`: epoll's, 0 after `again` or a timer. Does a bounded amount of work.
  virtual Wish drive(std::uint32_t events, Clock::time_point now) = 0;
};

}  // namespace weir::harness
