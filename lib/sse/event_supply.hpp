#pragma once

#include <string>

#include "api/awaited.hpp"
#include "weir/error.hpp"
#include "weir/sse.hpp"

namespace weir::sse {

/// Events in order, pulled: of one body, or of an EventSource.
/// Thread-safety: one thread at a time.
class EventSupply : public detail::Awaited {
 public:
  /// Data, end, or when `wait` ends pending or stopped.
  virtual EventResult pull(const flow::Wait& wait) = 0;
  /// A failure, with what is known of the connection.
  virtual Failure failure(errc code, std::string detail) const = 0;
};

}  // namespace weir::sse
