#pragma once

#include <atomic>
#include <coroutine>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include "api/awaited.hpp"

namespace weir::detail {

/// One wait of one coroutine. Whatever ends it (the change, a stop request, the deadline) only
/// posts it to the continuation thread, where all is decided; nothing is taken from what is awaited
/// until the coroutine itself does, so a wait that is dropped loses nothing.
///
/// Invariants:
///  A1  Under `mutex_` the wait is either over or not, and only who makes it over resumes the
///      coroutine. `awaited_` is not touched once it is over.
///  A2  While it is enlisted with `awaited_`, `self_` keeps it alive. Who takes it out of the slot
///      there takes `self_`: wake(), or a withdraw() that succeeded.
///  A3  `woken_` is set after `self_` was taken, so whoever sees it may enlist again.
///  A4  `giver_` is set with `over_`, before the coroutine is given away or resumed, and `giving_`
///      is true until that call has returned.
///
/// Thread-safety: any thread.
class Suspension final : public flow::Waiter,
                         public flow::Task,
                         public std::enable_shared_from_this<Suspension> {
 public:
  enum class End { none, ready, late, stopped };

  Suspension(Awaited& awaited, std::coroutine_handle<> coroutine, TimePoint deadline);

  /// True: the coroutine will be resumed, perhaps before this returns; else it is not to be
  /// suspended. Throws std::bad_alloc, Error resource_exhausted.
  bool begin(const std::stop_token& stop);
  /// By the coroutine when it was resumed.
  End finish() noexcept;
  /// By who destroys the suspended coroutine: nothing happens afterwards. Waits for a call of
  /// `ClientOptions::resume_on` under way, unless it happens in there.
  void drop() noexcept;

  Kind wake() noexcept override;
  void run() noexcept override;

 private:
  struct Post {
    Suspension* suspension;
    void operator()() const noexcept;
  };

  End look() const noexcept;
  void enlist() noexcept;
  void withdraw() noexcept;

  const std::shared_ptr<flow::Continuations> continuations_;
  const TimePoint deadline_;

  std::mutex mutex_;
  Awaited& awaited_;  // this and below: guarded by mutex_
  const std::coroutine_handle<> coroutine_;
  bool over_ = false;
  End end_ = End::none;
  std::thread::id giver_{};

  std::atomic<bool> giving_{false};                  // A4
  std::atomic<bool> woken_{false};                   // A3
  std::shared_ptr<Suspension> self_;                 // A2
  std::stop_token stop_;                             // constant after begin()
  std::optional<std::stop_callback<Post>> on_stop_;  // the coroutine's
};

}  // namespace weir::detail
