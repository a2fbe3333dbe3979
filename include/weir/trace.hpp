#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

namespace weir {

/// What a TraceEvent tells of. New kinds may be added.
enum class TraceKind {
  request,   ///< The I/O thread took the request.
  connect,   ///< A connection was made for it.
  reuse,     ///< An idle connection is used for it.
  interim,   ///< A 1xx response came: `status`.
  redirect,  ///< A redirect is followed, away from `url`: `status`.
  response,  ///< The response's headers are complete: `status`.
  pause,     ///< The body is full: the server will have to wait.
  resume,    ///< The body flows again.
  end,       ///< The body is complete.
  failure,   ///< It failed or was cancelled: `error`.
};

/// One step in the life of a request, for logs and debugging. Holds no credentials and no header
/// or body bytes.
struct TraceEvent {
  TraceKind kind{};
  std::uint64_t request = 0;  ///< Which one: they count from 1 in each client.
  std::chrono::steady_clock::time_point at{};
  std::string url{};           ///< Without credentials.
  int status = 0;              ///< 0 before there is one.
  std::uint64_t received = 0;  ///< Body bytes so far.
  std::size_t queued = 0;      ///< Of those, not yet read.
  std::error_code error{};
  std::uint64_t dropped = 0;  ///< Events lost just before this one, because too many were waiting.
};

}  // namespace weir
