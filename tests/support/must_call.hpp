#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace weir::test {

/// Checks, when it goes out of scope, that the functions it made were called `times` times in all.
///
///     MustCall stopped("the stop callback");
///     std::stop_callback callback(token, stopped([&] { ... }));
///
/// Thread-safety: the functions may be called from any thread and may outlive this; made and
/// destroyed on the test thread.
class [[nodiscard]] MustCall {
 public:
  explicit MustCall(std::string what, int times = 1) : what_(std::move(what)), times_(times) {}
  MustCall(const MustCall&) = delete;
  MustCall& operator=(const MustCall&) = delete;
  ~MustCall() {
    if (std::uncaught_exceptions() > unwinding_) return;  // the test has failed already
    CHECK_MESSAGE(calls() == times_, what_, " was called ", calls(), " times, not ", times_);
  }

  /// `function`, counted. Copies count as one.
  template <class Function>
  auto operator()(Function function) const {
    return [calls = calls_, function = std::move(function)](auto&&... arguments) mutable {
      calls->fetch_add(1);
      return function(std::forward<decltype(arguments)>(arguments)...);
    };
  }
  /// A function that takes anything and does nothing, counted.
  auto operator()() const {
    return (*this)([](auto&&...) {});
  }

  int calls() const noexcept { return calls_->load(); }

 private:
  std::string what_;
  int times_;
  int unwinding_ = std::uncaught_exceptions();
  std::shared_ptr<std::atomic<int>> calls_ = std::make_shared<std::atomic<int>>(0);
};

inline MustCall must_not_call(std::string what) { return MustCall(std::move(what), 0); }

}  // namespace weir::test
