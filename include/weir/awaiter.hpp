#pragma once

#include <chrono>
#include <coroutine>
#include <memory>
#include <optional>
#include <stop_token>

#include "weir/chunk.hpp"
#include "weir/export.hpp"

namespace weir {

using Deadline = std::chrono::steady_clock::time_point;

namespace detail {

class Awaited;
class Suspension;

/// The part that all awaiters have in common: suspends a coroutine until something can be had.
///
/// Lives in the coroutine's frame. Destroying a suspended frame withdraws the wait and harms
/// nothing. Destroy it on the thread that resumes it: the continuation thread, or with
/// `ClientOptions::resume_on` the executor, which then forgets the handle if it has it already; it
/// is not given it afterwards. From elsewhere only while nothing can wake it: else request the stop
/// of the read, and let it end.
class WEIR_API Awaiter {
 public:
  Awaiter(const Awaiter&) = delete;
  Awaiter& operator=(const Awaiter&) = delete;

  bool await_ready();
  bool await_suspend(std::coroutine_handle<> coroutine);

 protected:
  enum class Outcome { ready, late, stopped };

  Awaiter(Awaited& awaited, Deadline deadline, std::stop_token stop) noexcept;
  ~Awaiter();
  Outcome outcome() noexcept;

 private:
  Awaited& awaited_;
  const Deadline deadline_;
  const std::stop_token stop_;
  Outcome outcome_ = Outcome::ready;
  std::shared_ptr<Suspension> suspension_;
};

}  // namespace detail
}  // namespace weir
