#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "api/client_state.hpp"
#include "api/pending.hpp"
#include "base/clock.hpp"
#include "sse/backoff.hpp"
#include "sse/event_pull.hpp"
#include "sse/event_supply.hpp"
#include "sse/source_request.hpp"
#include "weir/sse.hpp"

namespace weir::sse {

/// What is behind an EventSource.
///
/// | phase      | event                             | next       | action                         |
/// |------------|-----------------------------------|------------|--------------------------------|
/// | connecting | head: 200 and the type            | open       | on_open, then read             |
/// | connecting | head: later; a failure            | lost       |                                |
/// | connecting | head: 204, refused                | closed     |                                |
/// | open       | bytes                             | open       | read up to the policy's limit  |
/// | open       | a comment, whose turn it is       | open       | on_comment, then read on       |
/// | open       | the end, a failure                | lost       | to the continuation thread     |
/// | lost       | final, or Reconnect::never        | closed     |                                |
/// | lost       | else                              | waiting    | on_disconnect, set the time    |
/// | waiting    | the time has come                 | connecting | send the request               |
/// | any        | close(), the Client goes          | closed     | let the connection go          |
///
/// All of it happens in run(), on the continuation thread, except that who asks for events reads
/// them too: so a thread that waits is woken by the I/O thread itself.
///
/// Invariants:
///  S1  While it is enlisted with a connection, `self_` keeps it alive. wake() takes `self_` and
///      then sets `woken_`; or a withdraw() that succeeds takes it. Only then it may enlist again.
///  S2  Who takes the waiter out of `waiter_` wakes it. What changes is changed before, under
///      `mutex_`; who waits puts its waiter there, and then looks.
///  S3  A wake-up of a connection is followed by a look: of who waits for events, if it was read;
///      else of run().
///  S4  With Overflow::block who waits for events may borrow the connection, and read it as an
///      EventStream is read: without the lock, and at the helm if nobody else is. `borrowed_` is
///      then set in place of `events_`, and others may only cancel it and ask for its figures. It
///      keeps the connection, as `kept_`, no longer than there are events in what was read.
///
/// Memory, errors: as EventSource.
/// Thread-safety: one thread at a time asks for events; `close()` and the figures from any.
/// Lifetime: shared by the EventSource and the continuation thread.
class SourceMachine final : public EventSupply,
                            public flow::Task,
                            public flow::Waiter,
                            public std::enable_shared_from_this<SourceMachine> {
 public:
  /// Sends the first request.
  static std::shared_ptr<SourceMachine> make(detail::ClientState& client, std::string url,
                                             EventSourceOptions options);
  SourceMachine(detail::ClientState& client, std::string url, EventSourceOptions options);

  void close() noexcept;
  /// By the EventSource that goes: calls nothing of the program's afterwards.
  void abandon() noexcept;
  EventSource::State state() const noexcept;
  std::uint64_t dropped() const noexcept;
  EventSourceStats stats() const noexcept;

  EventResult pull(const flow::Wait& wait) override;
  Failure failure(errc code, std::string detail) const override;
  bool ready() noexcept override;
  void enlist(flow::Waiter& waiter) noexcept override;
  bool withdraw(flow::Waiter& waiter) noexcept override;
  const std::shared_ptr<flow::Continuations>& continuations() const noexcept override {
    return continuations_;
  }

  void run() noexcept override;
  Kind wake() noexcept override;

 private:
  enum class Phase { connecting, open, lost, waiting, closed };
  /// The program's functions.
  struct Listeners {
    std::function<void(const Error&)> on_disconnect;
    std::function<void()> on_open;
    std::function<void(std::string_view)> on_comment;
  };
  struct Close {
    SourceMachine* machine;
    void operator()() const noexcept { machine->close(); }
  };

  void start(std::stop_token stop);
  bool step(std::unique_lock<std::mutex>& lock);
  void connect();
  bool meet_head(std::unique_lock<std::mutex>& lock);
  void take_response(Response response);
  void lose(std::unique_lock<std::mutex>& lock);
  bool read(std::unique_lock<std::mutex>& lock);
  template <class Call>
  void tell(Call call, std::unique_lock<std::mutex>& lock);
  bool wait_for_time();

  void look();
  void read_ahead();
  bool has_room() const noexcept;
  bool comment_is_due() const noexcept;
  void add(Event event);
  void be_lost(std::exception_ptr why);
  void hand_over();
  void finish(std::exception_ptr why) noexcept;
  void let_go() noexcept;
  void count_connection(EventSourceStats& stats) const noexcept;
  Error aborted() const;

  bool take(EventResult& result);
  bool take_kept(EventResult& result);
  bool read_alone(const flow::Wait& wait);
  bool may_borrow() const noexcept;
  std::unique_ptr<EventPull> borrow() noexcept;
  void give_back(std::unique_ptr<EventPull> events, EventResult result, std::exception_ptr why);
  void leave_line(flow::BlockingWaiter& waiter) noexcept;
  void arm(detail::Awaited& connection) noexcept;
  void disarm(detail::Awaited& connection) noexcept;
  std::optional<Kind> wake_waiter() noexcept;

  const std::shared_ptr<detail::ClientLink> link_;
  const std::shared_ptr<flow::Continuations> continuations_;
  const std::string url_;
  const SourceRequest request_;
  const SseLimits limits_;
  const Reconnect reconnect_;
  const Overflow overflow_;
  const std::size_t max_pending_;
  std::optional<std::stop_callback<Close>> on_stop_;  // the EventSource's

  std::unique_ptr<EventPull> kept_;  // S4: of who asks for events

  mutable std::mutex mutex_;
  // This and below: guarded by mutex_.
  Phase phase_ = Phase::connecting;
  std::string last_event_id_;  // before the first connection
  std::unique_ptr<detail::Pending> pending_;
  std::unique_ptr<EventPull> events_;  // null: never connected, or closed, or
  EventPull* borrowed_ = nullptr;      // S4
  std::deque<Event> queue_;
  std::exception_ptr why_;  // lost: null is the end of the response; closed: null is an end
  Backoff backoff_;
  std::optional<std::chrono::milliseconds> retry_after_;
  std::minstd_rand chance_;
  detail::TimePoint due_{};
  Listeners listeners_;
  std::thread::id reporter_{};  // of the call under way, while which nothing is read
  std::condition_variable reported_;
  bool abandoned_ = false;
  bool asked_ = false;                // for an event that was not there
  EventSourceStats stats_;            // of the connections before
  bool enlisted_ = false;             // S1
  detail::Awaited* armed_ = nullptr;  // the connection that it may still be taken back from

  std::shared_ptr<SourceMachine> self_;         // S1
  std::atomic<bool> woken_{false};              // S1
  std::atomic<bool> reading_{false};            // S3
  std::atomic<flow::Waiter*> waiter_{nullptr};  // S2
  // Relaxed: they publish nothing.
  std::atomic<EventSource::State> state_{EventSource::State::connecting};
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<std::uint64_t> delivered_{0};
};

}  // namespace weir::sse
