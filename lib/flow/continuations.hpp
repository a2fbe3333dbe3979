#pragma once

#include <condition_variable>
#include <coroutine>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "base/clock.hpp"
#include "base/deadlines.hpp"
#include "base/thread.hpp"

namespace weir::flow {

/// Something to be done on the continuation thread, now and then.
class Task : private detail::DeadlineNode {
 public:
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  virtual void run() noexcept = 0;

 protected:
  ~Task() = default;

 private:
  friend class Continuations;
  // All guarded by the Continuations' mutex.
  std::shared_ptr<Task> queued_;   // itself, while it is to be run
  std::shared_ptr<Task> awaited_;  // itself, while it has a deadline
  Task* next_ = nullptr;
};

/// The thread that runs what is the program's: coroutines that may go on, and the functions of
/// ClientOptions. It is started when first wanted. Tasks run one at a time, in the order they were
/// posted; they must not wait for one another.
///
/// Thread-safety: all members from any thread, unless said otherwise.
/// Lifetime: shared by a client, its bodies and those who post, until their call has returned;
/// stop() it before the last of them goes.
class Continuations : public std::enable_shared_from_this<Continuations> {
 public:
  using Resume = std::function<void(std::coroutine_handle<>)>;

  /// `resume_on` takes the coroutines; empty: they are resumed here.
  explicit Continuations(Resume resume_on) : resume_on_(std::move(resume_on)) {}
  Continuations(const Continuations&) = delete;
  Continuations& operator=(const Continuations&) = delete;
  ~Continuations();

  /// To be called before a task can be posted. Throws Error resource_exhausted.
  void start();
  /// Runs `task` soon, once, however often this is called before it begins. Never waits.
  void post(std::shared_ptr<Task> task) noexcept;
  /// Starts the thread, and posts `task` when `due` comes or when stop() is called, whichever is
  /// first, in place of what was set before. False: stop() has ended it, and nothing is posted any
  /// more. Throws std::bad_alloc, Error resource_exhausted.
  bool post_at(std::shared_ptr<Task> task, detail::TimePoint due);
  /// Takes back what post_at() set.
  void forget_deadline(Task& task) noexcept;

  /// Whether this is the thread that runs the tasks, which must not wait for one of them.
  bool is_this_thread() const;

  /// Runs what was posted and what waits for its time, and ends the thread; later tasks are
  /// dropped. Waits for it, unless it is called on that thread, which then ends when the task under
  /// way has.
  void stop() noexcept;
  /// For the end of the process: what was posted, and still will be, stays undone but in reach, so
  /// that it counts as no leak; a task under way is not waited for. This must then not be
  /// destroyed.
  void abandon() noexcept;

  /// On the continuation thread.
  void resume(std::coroutine_handle<> coroutine) {
    resume_on_ ? resume_on_(coroutine) : coroutine.resume();
  }

 private:
  enum class State { unstarted, running, stopping, abandoning, ended };

  void launch();
  void run() noexcept;
  void post_what_is_due() noexcept;
  void end(State how) noexcept;
  void append(std::shared_ptr<Task> task) noexcept;
  std::shared_ptr<Task> take() noexcept;

  const Resume resume_on_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // All guarded by mutex_.
  State state_ = State::unstarted;
  bool busy_ = false;  // a task is under way
  Task* first_ = nullptr;
  Task* last_ = nullptr;
  detail::Deadlines deadlines_;
  detail::Thread thread_;
};

}  // namespace weir::flow
