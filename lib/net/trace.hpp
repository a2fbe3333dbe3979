#pragma once

#include "weir/trace.hpp"

namespace weir::net {

/// Where a driver reports what happens to its requests.
/// Thread-safety: the I/O thread.
class TraceSink {
 public:
  /// Keeps the event for later, or drops and counts it; never waits.
  virtual void emit(TraceEvent event) noexcept = 0;

 protected:
  ~TraceSink() = default;
};

}  // namespace weir::net
