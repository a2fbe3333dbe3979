#pragma once

#include <string>

namespace weir::net {

/// What the running libcurl does differently from what one would expect, looked up once by its
/// version.
struct CurlQuirks {
  /// Receive buffer, in bytes: what libcurl may hold of a paused body. 48 KiB and the write that
  /// crosses the high water mark make one slab.
  long buffer_size = 48L << 10;
  /// TLS sessions live in each handle, so they must be shared to be resumed.
  bool share_tls_sessions = false;
  /// An idle connection that was reset, or on which more bytes arrived, is used again, and they are
  /// taken for the next response.
  bool reuses_dirty = false;

  static CurlQuirks of(unsigned version) noexcept;
};

}  // namespace weir::net
