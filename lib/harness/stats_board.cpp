#include "harness/stats_board.hpp"

#include <algorithm>

namespace weir::harness {
namespace {

using std::chrono::steady_clock;

// Waiting for ever must not overflow the clock.
steady_clock::time_point deadline_in(std::chrono::milliseconds timeout) {
  constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 365);
  return steady_clock::now() + std::min(timeout, kLongest);
}

const char* name_of(BodyState state) {
  switch (state) {
    case BodyState::live: return "live";
    case BodyState::finished: return "finished";
    case BodyState::cut: return "cut";
    case BodyState::vanished: return "vanished";
  }
  return "";
}

std::string quoted(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      (out += '\\') += c;
    } else if (code < ' ' || code >= 127) {
      ((out += "\\u00") += kHex[code >> 4]) += kHex[code & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

void append_field(std::string& out, const char* name, std::uint64_t value) {
  if (out.back() != '{') out += ',';
  out.append("\"").append(name).append("\":").append(std::to_string(value));
}

std::string json_of(const BodyRecord& body) {
  std::string out = "{";
  append_field(out, "id", body.id);
  out += ",\"path\":" + quoted(body.path);
  append_field(out, "bytes_accepted", body.bytes_accepted);
  append_field(out, "times_blocked", body.times_blocked);
  append_field(out, "stream_id", static_cast<std::uint64_t>(body.stream_id));
  out += body.blocked ? ",\"blocked\":true" : ",\"blocked\":false";
  return out + ",\"state\":\"" + name_of(body.state) + "\"}";
}

}  // namespace

const BodyRecord* FirehoseStats::find(std::string_view path) const noexcept {
  const auto found = std::find_if(bodies.rbegin(), bodies.rend(),
                                  [&](const BodyRecord& body) { return body.path == path; });
  return found == bodies.rend() ? nullptr : &*found;
}

void StatsBoard::enter() {
  const std::lock_guard lock(mutex_);
  working_ = true;
}

void StatsBoard::leave() {
  const std::lock_guard lock(mutex_);
  working_ = false;
  ++works_;
  left_.notify_all();
}

void StatsBoard::connection_opened() {
  const std::lock_guard lock(mutex_);
  ++totals_.connections_opened;
  ++totals_.connections_open;
  ++version_;
}

void StatsBoard::connection_closed() {
  const std::lock_guard lock(mutex_);
  --totals_.connections_open;
  ++version_;
}

void StatsBoard::request() {
  const std::lock_guard lock(mutex_);
  ++totals_.requests;
  ++version_;
}

void StatsBoard::request_vanished() {
  const std::lock_guard lock(mutex_);
  ++totals_.vanished;
  ++version_;
}

void StatsBoard::http2_opened() {
  const std::lock_guard lock(mutex_);
  ++totals_.http2_connections;
  ++version_;
}

void StatsBoard::ping_sent() {
  const std::lock_guard lock(mutex_);
  ++totals_.pings_sent;
  ++version_;
}

void StatsBoard::ping_cut() {
  const std::lock_guard lock(mutex_);
  ++totals_.ping_cuts;
  ++version_;
}

void StatsBoard::body_began(std::uint64_t id, const std::string& path, std::int32_t stream) {
  BodyRecord record;
  record.id = id;
  record.path = path.substr(0, kMaxPath);
  record.stream_id = stream;
  const std::lock_guard lock(mutex_);
  live_.emplace(id, std::move(record));
  ++version_;
}

void StatsBoard::sent(std::uint64_t id, std::uint64_t head_bytes, std::uint64_t body_bytes) {
  const std::lock_guard lock(mutex_);
  totals_.head_bytes += head_bytes;
  totals_.bytes_accepted += body_bytes;
  ++version_;
  const auto found = live_.find(id);
  if (found == live_.end()) return;
  found->second.bytes_accepted += body_bytes;
  found->second.blocked = false;
}

void StatsBoard::blocked(std::uint64_t id, steady_clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto found = live_.find(id);
  if (found == live_.end() || found->second.blocked) return;
  found->second.blocked = true;
  found->second.blocked_since = now;
  ++found->second.times_blocked;
  ++totals_.times_blocked;
  ++version_;
  block_changed_.notify_all();
}

void StatsBoard::body_ended(std::uint64_t id, BodyState state) {
  const std::lock_guard lock(mutex_);
  const auto found = live_.find(id);
  if (found == live_.end()) return;
  found->second.state = state;
  found->second.blocked = false;
  ended_.push_back(std::move(found->second));
  live_.erase(found);
  if (ended_.size() > kRemembered) ended_.pop_front();
  ++version_;
}

void StatsBoard::publish() {
  const std::lock_guard lock(mutex_);
  if (published_ == version_) return;
  published_ = version_;
  changed_.notify_all();
}

FirehoseStats StatsBoard::snapshot() const {
  std::unique_lock lock(mutex_);
  settle(lock);
  return snapshot_locked();
}

// Waits for the work that is going on, but not for the next.
void StatsBoard::settle(std::unique_lock<std::mutex>& lock) const {
  const std::uint64_t before = works_;
  left_.wait(lock, [&] { return !working_ || works_ != before; });
}

FirehoseStats StatsBoard::snapshot_locked() const {
  FirehoseStats stats = totals_;
  stats.bodies.reserve(live_.size() + ended_.size());
  stats.bodies.assign(ended_.begin(), ended_.end());
  for (const auto& [id, body] : live_) stats.bodies.push_back(body);
  std::sort(stats.bodies.begin(), stats.bodies.end(),
            [](const BodyRecord& a, const BodyRecord& b) { return a.id < b.id; });
  return stats;
}

std::string StatsBoard::json(bool with_bodies) const {
  std::unique_lock lock(mutex_);
  const FirehoseStats stats = snapshot_locked();
  lock.unlock();
  std::string out = "{";
  append_field(out, "bytes_accepted", stats.bytes_accepted);
  append_field(out, "head_bytes", stats.head_bytes);
  append_field(out, "times_blocked", stats.times_blocked);
  append_field(out, "requests", stats.requests);
  append_field(out, "vanished", stats.vanished);
  append_field(out, "connections_opened", stats.connections_opened);
  append_field(out, "connections_open", stats.connections_open);
  append_field(out, "http2_connections", stats.http2_connections);
  append_field(out, "pings_sent", stats.pings_sent);
  append_field(out, "ping_cuts", stats.ping_cuts);
  if (with_bodies) {
    out += ",\"bodies\":[";
    for (const BodyRecord& body : stats.bodies) {
      if (out.back() != '[') out += ',';
      out += json_of(body);
    }
    out += ']';
  }
  return out + "}\n";
}

bool StatsBoard::wait_until_blocked(const BlockedWhen& when,
                                    std::chrono::milliseconds timeout) const {
  const auto deadline = deadline_in(timeout);
  std::unique_lock lock(mutex_);
  settle(lock);
  while (true) {
    const auto now = steady_clock::now();
    std::size_t ripe = 0;
    auto look_again = deadline;  // when the next one has been quiet for long enough
    for (const auto& [id, body] : live_) {
      if (!body.blocked || body.bytes_accepted < when.bytes) continue;
      const auto quiet_at = body.blocked_since + when.quiet;
      if (quiet_at <= now)
        ++ripe;
      else
        look_again = std::min(look_again, quiet_at);
    }
    if (ripe >= when.bodies) return true;
    if (now >= deadline) return false;
    block_changed_.wait_until(lock, look_again);
  }
}

bool StatsBoard::wait_for(const std::function<bool(const FirehoseStats&)>& condition,
                          std::chrono::milliseconds timeout) const {
  const auto deadline = deadline_in(timeout);
  std::unique_lock lock(mutex_);
  settle(lock);
  while (true) {
    const FirehoseStats stats = snapshot_locked();
    const std::uint64_t seen = version_;
    lock.unlock();
    if (condition(stats)) return true;
    lock.lock();
    const bool changed = changed_.wait_until(lock, deadline, [&] { return version_ != seen; });
    if (!changed) return false;
  }
}

}  // namespace weir::harness
