#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "harness/cmd/read_options.hpp"
#include "weir/fetch.hpp"
#include "weir/harness/slow_reader.hpp"

namespace weir::harness::cmd {

/// What became of one request and its body.
struct StreamResult {
  std::optional<std::string> error{};   // errc name, or "write_failed"
  std::optional<std::string> detail{};  // of the error, or a remark
  std::optional<int> status{};          // unset: no response
  std::optional<HttpVersion> version{};
  std::string url{};  // of the response, else the one asked for; no credentials
  SlowReaderReport report{};
  double seconds = 0;  // from the call of fetch()
  std::chrono::steady_clock::time_point ended{};
};

/// Readers of one kind, started together.
struct GroupResult {
  std::vector<StreamResult> streams{};
  double seconds = 0;  // from the start of the first to the end of the last
};

/// What all readers together are doing.
struct LiveView {
  std::uint64_t read = 0;    // bytes
  std::uint64_t queued = 0;  // bytes
  std::size_t paused = 0;    // bodies
  std::size_t readers = 0;   // that have a response
};

/// Runs the readers of a command line, a thread each.
/// Thread-safety: `live()` from any thread.
/// Lifetime: the client and the options must outlive it.
class ReadRun {
 public:
  ReadRun(Client& client, const ReadOptions& options, std::stop_token stop);

  /// Returns when all readers are done. `watched`: keep `live()` up to date.
  void run(bool watched);
  const GroupResult& streams() const noexcept { return streams_; }
  const GroupResult& active() const noexcept { return active_; }

  LiveView live() const noexcept;

 private:
  class Arrival;
  struct Group;
  struct Slot {  // figures for people: each atomic stands alone
    std::atomic<std::uint64_t> read{0};
    std::atomic<std::uint64_t> queued{0};
    std::atomic<bool> paused{false};
    std::atomic<bool> begun{false};
  };

  SlowReaderOptions pace(const SlowReaderOptions& base, Slot* slot) const;
  void start(Group& group);
  void read_one(StreamResult& result, SlowReaderOptions pace, Arrival arrival) const noexcept;
  void transfer(StreamResult& result, SlowReaderOptions& pace, Arrival& arrival) const;

  Client& client_;
  const ReadOptions& options_;
  const std::stop_token stop_;
  std::vector<Slot> slots_;
  GroupResult streams_;
  GroupResult active_;
};

}  // namespace weir::harness::cmd
