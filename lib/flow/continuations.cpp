#include "flow/continuations.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <utility>

namespace weir::flow {

namespace {

// The due time of what has none: the last one that Deadlines keeps.
constexpr detail::TimePoint kAtTheEnd = detail::TimePoint::max() - detail::TimePoint::duration(1);

}  // namespace

Continuations::~Continuations() {
  assert(!thread_.joinable());
  while (take()) {  // what was abandoned keeps itself
  }
}

void Continuations::start() {
  const std::lock_guard lock(mutex_);
  launch();
}

void Continuations::launch() {
  if (state_ != State::unstarted) return;
  // It keeps this alive: the owner may go while a task runs.
  thread_ = detail::Thread("weir-resume", [self = shared_from_this()] { self->run(); });
  state_ = State::running;
}

void Continuations::post(std::shared_ptr<Task> task) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::ended) return;
    append(std::move(task));
  }
  changed_.notify_one();  // without the lock, which the thread wants first of all
}

void Continuations::append(std::shared_ptr<Task> task) noexcept {
  if (task->queued_) return;
  Task& added = *task;
  added.queued_ = std::move(task);
  (last_ != nullptr ? last_->next_ : first_) = &added;
  last_ = &added;
}

bool Continuations::post_at(std::shared_ptr<Task> task, detail::TimePoint due) {
  const std::lock_guard lock(mutex_);
  launch();
  if (state_ == State::ended) return false;
  const bool sooner = due < std::min(deadlines_.next(), kAtTheEnd) || state_ == State::stopping;
  deadlines_.set(*task, std::min(due, kAtTheEnd));
  Task& set = *task;
  set.awaited_ = std::move(task);
  if (sooner) changed_.notify_one();
  return true;
}

void Continuations::forget_deadline(Task& task) noexcept {
  std::shared_ptr<Task> keep;  // released after the lock
  const std::lock_guard lock(mutex_);
  deadlines_.remove(task);
  keep = std::move(task.awaited_);
}

bool Continuations::is_this_thread() const {
  const std::lock_guard lock(mutex_);
  return thread_.joinable() && thread_.is_this_thread();
}

std::shared_ptr<Task> Continuations::take() noexcept {
  Task* const task = first_;
  if (task == nullptr) return nullptr;
  first_ = std::exchange(task->next_, nullptr);
  if (first_ == nullptr) last_ = nullptr;
  return std::move(task->queued_);
}

void Continuations::post_what_is_due() noexcept {
  auto now = detail::TimePoint::max();
  if (state_ != State::stopping) {
    if (deadlines_.next() >= kAtTheEnd) return;
    now = std::chrono::steady_clock::now();
  }
  while (detail::DeadlineNode* const node = deadlines_.take_expired(now)) {
    append(std::move(static_cast<Task*>(node)->awaited_));
  }
}

void Continuations::run() noexcept {
  std::unique_lock lock(mutex_);
  while (state_ != State::abandoning) {
    post_what_is_due();
    if (std::shared_ptr<Task> task = take()) {
      busy_ = true;
      lock.unlock();
      task->run();
      task.reset();
      lock.lock();
      busy_ = false;
    } else if (state_ == State::stopping) {
      break;
    } else if (deadlines_.next() >= kAtTheEnd) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, deadlines_.next());
    }
  }
  if (state_ == State::stopping) state_ = State::ended;
}

void Continuations::stop() noexcept {
  detail::Thread thread;
  {
    const std::lock_guard lock(mutex_);
    end(State::stopping);
    thread = std::move(thread_);
  }
  if (!thread.joinable()) return;
  thread.is_this_thread() ? thread.join_later() : thread.join();
}

void Continuations::abandon() noexcept {
  detail::Thread thread;
  {
    const std::lock_guard lock(mutex_);
    end(State::abandoning);
    if (!busy_) thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

void Continuations::end(State how) noexcept {
  if (state_ == State::unstarted) state_ = State::ended;
  if (state_ == State::running) state_ = how;
  changed_.notify_one();
}

}  // namespace weir::flow
