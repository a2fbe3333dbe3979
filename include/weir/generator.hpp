#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace weir {

/// A sequence that is made as it is asked for: the result of a coroutine that uses `co_yield`.
///
///     weir::Generator<int> count_to(int last) {
///       for (int i = 1; i <= last; ++i) co_yield i;
///     }
///     auto numbers = count_to(3);
///     while (auto number = numbers.next()) ...
///
/// Lazy: nothing of the coroutine runs before the first `next()`, and each call runs it on to its
/// next `co_yield` and no further. It cannot use `co_await`: what it needs to wait for, it blocks
/// for.
/// Memory: the coroutine's frame, and the one value that is on its way.
/// Its end, an exception, and the destruction of the Generator each end it where it stands: the
/// coroutine's variables are destroyed, once.
/// Lifetime: arguments that the coroutine takes by reference, and the closure of a lambda that is
/// one, must live as long as the Generator.
/// With g++ 12 do not yield a temporary aggregate (`co_yield Pair{...}`) that has a destructor: it
/// would be destroyed twice. Give it a name and yield `std::move(name)`.
/// Thread-safety: as any value; one thread at a time calls `next()`, not always the same.
template <class T>
class [[nodiscard]] Generator {
 public:
  class promise_type;

  /// One that is over.
  Generator() noexcept = default;
  Generator(Generator&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  Generator& operator=(Generator&& other) noexcept {
    Generator taken(std::move(other));
    std::swap(frame_, taken.frame_);
    return *this;
  }
  ~Generator() {
    if (frame_) frame_.destroy();
  }

  /// Runs the coroutine to its next `co_yield`: the value; nullopt once it has ended.
  /// Throws what the coroutine throws, which ends it.
  std::optional<T> next() {
    if (!frame_) return std::nullopt;
    frame_.resume();
    if (!frame_.done()) return frame_.promise().take();
    const Generator ended(std::move(*this));
    ended.frame_.promise().rethrow();
    return std::nullopt;
  }

 private:
  explicit Generator(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  std::coroutine_handle<promise_type> frame_;
};

template <class T>
class Generator<T>::promise_type {
 public:
  Generator get_return_object() noexcept {
    return Generator(std::coroutine_handle<promise_type>::from_promise(*this));
  }
  std::suspend_always initial_suspend() const noexcept { return {}; }
  std::suspend_always final_suspend() const noexcept { return {}; }
  std::suspend_always yield_value(T value) {
    value_.emplace(std::move(value));
    return {};
  }
  void return_void() const noexcept {}
  void unhandled_exception() noexcept { thrown_ = std::current_exception(); }
  template <class Awaitable>
  std::suspend_never await_transform(Awaitable&&) = delete;

 private:
  friend class Generator;
  std::optional<T> take() { return std::exchange(value_, std::nullopt); }
  void rethrow() const {
    if (thrown_) std::rethrow_exception(thrown_);
  }

  std::optional<T> value_;
  std::exception_ptr thrown_;
};

}  // namespace weir
