#pragma once

#include <exception>
#include <optional>

#include "weir/error.hpp"

namespace weir::detail {

/// An exception that is thrown again at each read, perhaps by two threads: an Error each time as a
/// new one, with what is nested in it, so that no two threads have one object.
/// Thread-safety: as any value; const members from any thread.
class KeptFailure {
 public:
  /// In a handler: keeps what was caught.
  void keep_current() noexcept;
  explicit operator bool() const noexcept { return error_ || other_; }
  bool is(errc code) const noexcept { return error_ && error_->code() == make_error_code(code); }
  [[noreturn]] void rethrow() const;

 private:
  std::optional<Error> error_;
  std::exception_ptr nested_;  // in error_
  std::exception_ptr other_;   // if it was no Error
};

}  // namespace weir::detail
