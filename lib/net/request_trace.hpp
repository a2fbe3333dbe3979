#pragma once

#include <cstdint>
#include <string>
#include <system_error>

#include "base/clock.hpp"
#include "net/driver.hpp"
#include "net/trace.hpp"

namespace weir::net {

/// The steps of one request, told to a sink. Without a sink it does nothing: no clock is read, no
/// text is made.
/// Thread-safety: the I/O thread. Lifetime: within the sink's, the clock's and the Exchange's.
class RequestTrace {
 public:
  RequestTrace() = default;  ///< Of a request that nobody hears of.
  RequestTrace(TraceSink* sink, const detail::Clock& clock, const Exchange& exchange,
               std::uint64_t request) noexcept
      : sink_(sink), clock_(&clock), exchange_(&exchange), request_(request) {}

  void step(TraceKind kind) noexcept {
    if (sink_ != nullptr) emit(kind, status_, {});
  }
  void interim(int status) noexcept {
    if (sink_ != nullptr) emit(TraceKind::interim, status, {});
  }
  void redirect(int status) noexcept {
    if (sink_ != nullptr) emit(TraceKind::redirect, status, {});
  }
  void response(int status) noexcept {
    status_ = status;
    step(TraceKind::response);
  }
  /// Of several ends the first counts.
  void end() noexcept { over(TraceKind::end, {}); }
  void failure(std::error_code error) noexcept { over(TraceKind::failure, error); }
  void out_of_memory() noexcept { failure(std::make_error_code(std::errc::not_enough_memory)); }

 private:
  void over(TraceKind kind, std::error_code error) noexcept {
    if (sink_ == nullptr) return;
    emit(kind, status_, error);
    sink_ = nullptr;
  }
  void emit(TraceKind kind, int status, std::error_code error) noexcept;

  TraceSink* sink_ = nullptr;
  const detail::Clock* clock_ = nullptr;
  const Exchange* exchange_ = nullptr;
  std::uint64_t request_ = 0;
  int status_ = 0;  // the response's, once there is one
};

/// Runs `call`, which tells `exchange` something. Wording that takes memory; without it the reader
/// is told just that.
template <class Call>
void report(Exchange& exchange, RequestTrace& trace, Call&& call) noexcept {
  try {
    call();
  } catch (const std::bad_alloc&) {
    trace.out_of_memory();
    exchange.fail_out_of_memory();
  }
}

}  // namespace weir::net
