#pragma once

#include <pthread.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace weir::test {

/// The name of the thread that asks.
inline std::string thread_name() {
  std::array<char, 16> name{};
  ::pthread_getname_np(::pthread_self(), name.data(), name.size());
  return name.data();
}

/// A coroutine of a test: it runs at once until it first suspends, and whoever resumes it runs it
/// on from there.
///
///     Coroutine<std::string> read_all(Reader reader) { ... co_return text; }
///     auto text = read_all(std::move(reader));
///     ...
///     CHECK(text.get() == "...");
///
/// Destroying it destroys the frame: allowed once it is done, or while it is suspended for good.
/// Thread-safety: `done()` from any thread; the rest by one thread at a time.
template <class T>
class [[nodiscard]] Coroutine {
 public:
  class promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  Coroutine(Coroutine&& other) noexcept
      : frame_(std::exchange(other.frame_, nullptr)), state_(std::move(other.state_)) {}
  Coroutine& operator=(Coroutine&& other) noexcept {
    std::swap(frame_, other.frame_);
    std::swap(state_, other.state_);
    return *this;
  }
  ~Coroutine() { drop(); }

  bool done() const {
    const std::lock_guard lock(state_->mutex);
    return state_->done;
  }
  /// Waits until it is done: its result, or what it threw.
  T get() {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [this] { return state_->done; });
    if (state_->thrown) std::rethrow_exception(state_->thrown);
    return std::move(*state_->result);
  }
  /// Destroys the frame.
  void drop() noexcept {
    if (frame_) std::exchange(frame_, nullptr).destroy();
  }
  std::coroutine_handle<> handle() const noexcept { return frame_; }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;  // this and below: guarded by mutex
    std::optional<T> result;
    std::exception_ptr thrown;
  };

  Coroutine(Handle frame, std::shared_ptr<State> state) noexcept
      : frame_(frame), state_(std::move(state)) {}

  Handle frame_;
  std::shared_ptr<State> state_;
};

template <class T>
class Coroutine<T>::promise_type {
 public:
  // Says that it is done once it is suspended, and touches nothing of the frame then.
  struct Finish {
    bool await_ready() const noexcept { return false; }
    [[gnu::noinline]] void await_suspend(Handle frame) noexcept {
      const std::shared_ptr<State> state = frame.promise().state_;
      const std::lock_guard lock(state->mutex);
      state->done = true;
      state->changed.notify_all();
    }
    void await_resume() const noexcept {}
  };

  Coroutine get_return_object() { return {Handle::from_promise(*this), state_}; }
  std::suspend_never initial_suspend() const noexcept { return {}; }
  Finish final_suspend() const noexcept { return {}; }
  void return_value(T value) { state_->result.emplace(std::move(value)); }
  void unhandled_exception() noexcept { state_->thrown = std::current_exception(); }

 private:
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

/// A coroutine that nobody waits for; its frame goes when it ends. It must not throw.
struct Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
  };
};

/// Runs coroutines on the thread that asks for it, such as the test's:
///
///     Client client({.resume_on = executor.resume_on()});
///
/// Thread-safety: any thread. Lifetime: longer than those that post.
class Executor {
 public:
  auto resume_on() {
    return [this](std::coroutine_handle<> coroutine) { post(coroutine); };
  }
  void post(std::coroutine_handle<> coroutine) {
    const std::lock_guard lock(mutex_);
    ready_.push_back(coroutine);
    posted_from_.insert(thread_name());
    posted_.notify_one();
  }
  /// Waits for a coroutine, and resumes it.
  void run_one() {
    std::unique_lock lock(mutex_);
    posted_.wait(lock, [this] { return !ready_.empty(); });
    resume_first(std::move(lock));
  }
  /// Waits for `patience` at most. False: there was none.
  bool run_one_within(std::chrono::microseconds patience) {
    std::unique_lock lock(mutex_);
    if (!posted_.wait_for(lock, patience, [this] { return !ready_.empty(); })) return false;
    resume_first(std::move(lock));
    return true;
  }
  template <class T>
  T run(Coroutine<T>& coroutine) {
    while (!coroutine.done()) run_one();
    return coroutine.get();
  }
  /// Waits until one is there to be resumed.
  void wait() {
    std::unique_lock lock(mutex_);
    posted_.wait(lock, [this] { return !ready_.empty(); });
  }
  /// For a coroutine that was destroyed. False: it is not among those to be resumed.
  bool forget(std::coroutine_handle<> coroutine) {
    const std::lock_guard lock(mutex_);
    const auto before = ready_.size();
    ready_.erase(std::remove(ready_.begin(), ready_.end(), coroutine), ready_.end());
    return ready_.size() < before;
  }
  std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return ready_.size();
  }
  /// The names of the threads that posted.
  std::set<std::string> posted_from() const {
    const std::lock_guard lock(mutex_);
    return posted_from_;
  }

 private:
  void resume_first(std::unique_lock<std::mutex> lock) {
    const auto coroutine = ready_.front();
    ready_.pop_front();
    lock.unlock();
    coroutine.resume();
  }

  mutable std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::coroutine_handle<>> ready_;
  std::set<std::string> posted_from_;
};

}  // namespace weir::test
