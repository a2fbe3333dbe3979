#pragma once

namespace weir::net {

/// What the running libcurl does differently from what one would expect, looked up once by its
/// version.
struct CurlQuirks {
  /// Receive buffer, in bytes: what libcurl may hold of a paused body. It reads at most 101 times
  /// before it returns (transfer.c: readwrite_data), which is to be less than a high water mark.
  long buffer_size = 40L << 10;
  /// TLS sessions live in each handle, so they must be shared to be resumed.
  bool share_tls_sessions = false;
  /// An idle connection that was reset, or on which more bytes arrived, is used again, and they are
  /// taken for the next response.
  bool reuses_dirty = false;

  /// A paused transfer's socket is to be watched all the same, and then read from without bound.
  bool reads_while_paused = false;

  /// Why HTTP/2 is not to be had, for the detail of an Error; null: it is.
  const char* http2_refusal = nullptr;
  /// HTTP/2 keeps paused bodies bounded, so it is offered without being asked for.
  bool http2_by_default = false;
  /// A second request over a connection with prior knowledge fails.
  bool h2c_only_once = false;
  /// A request body that waits for the HTTP/2 window takes a whole core.
  bool http2_upload_spins = false;
  /// An HTTP/2 response that ends before its request does is not noticed to have ended.
  bool http2_end_unnoticed = false;

  /// A lookup that a callback refuses counts as failed, for all who ask for that host in the next
  /// half minute: so none is refused, and each transfer makes its own.
  bool remembers_refused_lookups = false;

  /// Those of `version` (curl_version_info's version_num), built with HTTP/2 or without.
  static CurlQuirks of(unsigned version, bool has_http2 = true) noexcept;
};

}  // namespace weir::net
