#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/driver.hpp"
#include "weir/error.hpp"
#include "weir/headers.hpp"

namespace weir::net {

/// Puts a response's head together from header lines, as they arrive, and then its trailers.
///
/// Informational responses (1xx) are read and dropped, with one `interim` for each; the head is
/// complete at the empty line of the first status >= 200.
/// Memory: at most `max_bytes` of header text, and `max_fields` fields; interim responses count
/// too.
/// Spec: RFC 9112 sections 2.3, 4 and 5; RFC 9110 section 15.2.
class ResponseHead {
 public:
  enum class Step { more, interim, complete, failed };

  ResponseHead(std::size_t max_bytes, int max_fields) noexcept
      : max_bytes_(max_bytes), max_fields_(max_fields) {}

  /// One line with its line end. After `complete`, lines are trailer fields. After
  /// `failed`, `failure()` tells why. Throws std::bad_alloc.
  Step line(std::string_view text);
  /// Forgets everything, to read the answer to the same request sent again.
  void restart() noexcept;

  bool complete() const noexcept { return complete_; }
  bool started() const noexcept { return bytes_ > 0; }
  std::size_t bytes() const noexcept { return bytes_; }  ///< Read so far, line ends included.
  std::size_t count() const noexcept { return count_; }  ///< Of fields, so far.
  int status() const noexcept { return status_; }
  /// What the status line says: http1 (any 1.x), or http2, the way libcurl writes it.
  HttpVersion version() const noexcept { return version_; }
  Headers& fields() noexcept { return fields_; }
  /// What followed the body, without the fields that are not allowed there.
  Headers& trailers() noexcept { return trailers_; }
  /// The body's length if Content-Length says it and nothing overrides it (RFC 9112 section 6.3).
  std::optional<std::uint64_t> length() const noexcept { return length_; }
  /// Its connection must carry no other response: two framings were given, or one that HTTP/1.0
  /// does not have. Spec: RFC 9112 section 6.1.
  bool must_close() const noexcept { return must_close_; }
  const Failure& failure() const noexcept { return failure_; }

 private:
  Step status_line(std::string_view text);
  bool read_version(std::string_view text) noexcept;
  Step field_line(std::string_view text, std::vector<Field>& into);
  Step folded_line(std::string_view text, std::vector<Field>& into);
  Step end_of_block();
  bool find_length();
  Step fail(errc code, std::string detail);

  std::size_t max_bytes_;
  int max_fields_;
  std::size_t bytes_ = 0;
  std::size_t count_ = 0;
  int status_ = 0;
  HttpVersion version_ = HttpVersion::http1;
  bool in_block_ = false;
  bool complete_ = false;
  bool dropped_ = false;  // the last field
  bool one_zero_ = false;
  bool must_close_ = false;
  Headers fields_;
  Headers trailers_;
  std::optional<std::uint64_t> length_;
  Failure failure_;
};

}  // namespace weir::net
