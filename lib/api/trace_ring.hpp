#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "flow/continuations.hpp"
#include "net/trace.hpp"

namespace weir::detail {

/// Events on their way from the I/O thread to the program's trace function, which is called on the
/// continuation thread.
/// Memory: room for kRoom events.
/// Thread-safety: any thread.
class TraceRing final : public net::TraceSink,
                        public flow::Task,
                        public std::enable_shared_from_this<TraceRing> {
 public:
  static constexpr std::size_t kRoom = 1024;  // events

  TraceRing(std::function<void(const TraceEvent&)> listener,
            std::shared_ptr<flow::Continuations> continuations);

  void emit(TraceEvent event) noexcept override;
  void run() noexcept override;

 private:
  const std::function<void(const TraceEvent&)> listener_;
  const std::shared_ptr<flow::Continuations> continuations_;

  std::mutex mutex_;
  std::vector<TraceEvent> ring_;  // this and below: guarded by mutex_; kRoom places
  std::size_t first_ = 0;         // the place of the event that waits longest
  std::size_t waiting_ = 0;       // events
  std::uint64_t dropped_ = 0;     // since the last one that was kept
};

}  // namespace weir::detail
