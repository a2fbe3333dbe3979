#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "weir/harness/firehose.hpp"

namespace weir::harness {

/// The counters of a Firehose: written by the server's thread, read and waited for by any other.
/// The server brackets what it does with `enter` and `leave`: a look from outside waits for the end
/// of such a piece of work, so it never shows less than what a client has already received.
/// Memory: the live bodies and `kRemembered` others.
/// Thread-safety: all members, any thread.
class StatsBoard {
 public:
  static constexpr std::size_t kRemembered = 1024;  // bodies that ended
  static constexpr std::size_t kMaxPath = 1024;     // bytes of a path that are kept

  void enter();
  void leave();
  void connection_opened();
  void connection_closed();
  void request();
  void request_vanished();
  void http2_opened();
  void ping_sent();
  void ping_cut();
  /// `stream`: of HTTP/2, 0: HTTP/1.1.
  void body_began(std::uint64_t id, const std::string& path, std::int32_t stream = 0);
  void sent(std::uint64_t id, std::uint64_t head_bytes, std::uint64_t body_bytes);
  void blocked(std::uint64_t id, std::chrono::steady_clock::time_point now);
  void body_ended(std::uint64_t id, BodyState state);
  /// Wakes `wait_for`, once for all that changed since the last call.
  void publish();

  FirehoseStats snapshot() const;
  std::string json(bool with_bodies) const;  // for the server: waits for nothing
  bool wait_until_blocked(const BlockedWhen& when, std::chrono::milliseconds timeout) const;
  bool wait_for(const std::function<bool(const FirehoseStats&)>& condition,
                std::chrono::milliseconds timeout) const;

 private:
  FirehoseStats snapshot_locked() const;
  void settle(std::unique_lock<std::mutex>& lock) const;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;        // by publish()
  mutable std::condition_variable block_changed_;  // a body was blocked
  mutable std::condition_variable left_;           // by leave()
  bool working_ = false;                           // between enter() and leave()
  std::uint64_t works_ = 0;                        // that ended
  FirehoseStats totals_;                           // without bodies
  std::map<std::uint64_t, BodyRecord> live_;
  std::deque<BodyRecord> ended_;  // in the order they ended
  std::uint64_t version_ = 0;
  std::uint64_t published_ = 0;
};

}  // namespace weir::harness
