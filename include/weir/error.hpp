#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <system_error>

#include "weir/export.hpp"

namespace weir {

/// Why a request or a body failed, named by what a caller can do about it. An
/// HTTP status is never an error; nor is the end of a body.
enum class errc {
  /// Malformed URL, scheme other than http/https, bad method, header name or value, bad option. A
  /// redirect to such a URL, or from https to http.
  invalid_argument = 1,
  /// No address was found for the host.
  resolve_failed,
  /// Refused or unreachable, or a proxy refused (then `detail()` starts with "proxy").
  connect_failed,
  /// The TLS handshake or the verification of the certificate failed.
  tls_failed,
  /// Closed or reset before the response headers were complete.
  connection_lost,
  /// The peer broke HTTP framing (RFC 9112, 9113, 9114).
  protocol_error,
  /// The connection ended before the body did.
  truncated,
  /// Content-Encoding data is corrupt, or cut short.
  decode_failed,
  /// More redirects than `max_redirects`, or any with `Redirect::error`.
  too_many_redirects,
  /// A limit was exceeded; `detail()` names the option and the size seen.
  too_large,
  /// A connect, headers, idle or total timeout; `detail()` names which.
  timed_out,
  /// `consumer_timeout`: the body stayed paused because nobody read it.
  consumer_stalled,
  /// Stop was requested, the Body or Reader cancelled or dropped, or the Client destroyed.
  aborted,
  /// The body was already taken by `reader()`, `text()`, ...
  body_used,
  /// A redirect or retry needs the request body again, and it cannot rewind.
  not_replayable,
  /// The caller's Source or Generator threw (the nested exception holds it).
  source_failed,
  /// `integrity` did not match the body.
  integrity_failed,
  /// A helper met an HTTP status or content type it cannot use.
  bad_status,
  /// The running libcurl, or this version of weir, lacks what was asked for.
  unsupported,
  /// Out of file descriptors or threads.
  resource_exhausted,
  /// A blocking call on a thread that must not block.
  would_deadlock,
};

WEIR_API const std::error_category& error_category() noexcept;
WEIR_API std::error_code make_error_code(errc code) noexcept;

/// What is known about a failure. A plain value: the library's own threads pass
/// it around and throw `Error` only on the caller's thread.
struct Failure {
  errc code{};
  std::string detail{};              ///< Wording is not stable.
  std::string url{};                 ///< Credentials removed.
  std::uint64_t bytes_received = 0;  ///< Body bytes that arrived before it, in wire bytes.
  int status = 0;                    ///< HTTP status if headers were complete, else 0.
  bool retryable = false;            ///< Nothing of the response had arrived; see `Error`.
};

/// The only exception type weir throws, apart from std::bad_alloc when memory
/// runs out and std::system_error from file operations.
///
/// `code() == weir::errc::x` tells what happened. `timed_out` also equals
/// `std::errc::timed_out`, and `aborted` equals `std::errc::operation_canceled`.
/// `what()` is a sentence about the code, with `detail()` after it.
/// Thread-safety: copies are independent; const members may be called from any thread.
/// Lifetime: the strings live as long as any copy of this Error.
class WEIR_API Error : public std::system_error {
 public:
  /// Removes credentials from `failure.url`; `failure.detail` must hold none.
  /// Throws std::bad_alloc.
  explicit Error(Failure failure);
  Error(const Error&) noexcept = default;  // no move: a moved-from Error would hold nothing
  Error& operator=(const Error&) noexcept = default;
  ~Error() override;

  const char* what() const noexcept override;

  /// The URL of the request, without credentials.
  const std::string& url() const noexcept { return failure().url; }
  /// Details for people: which timeout, which limit, libcurl's words. Wording is not stable.
  const std::string& detail() const noexcept { return failure().detail; }
  /// Body bytes that had arrived, in wire bytes (before content decoding).
  std::uint64_t bytes_received() const noexcept { return failure().bytes_received; }
  /// The HTTP status, if the headers had arrived; else 0.
  int status() const noexcept { return failure().status; }
  /// True if the failure came before any byte of the response and is of a kind
  /// that may pass: whether to send a request again that has side effects is yours to say.
  bool retryable() const noexcept { return failure().retryable; }
  const Failure& failure() const noexcept { return state_->failure; }

 private:
  struct State {
    Failure failure;
    std::string what;
  };

  std::shared_ptr<const State> state_;  // shared by the copies, so that copying cannot throw
};

}  // namespace weir

template <>
struct std::is_error_code_enum<weir::errc> : std::true_type {};
