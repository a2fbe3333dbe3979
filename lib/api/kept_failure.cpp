#include "api/kept_failure.hpp"

namespace weir::detail {

void KeptFailure::keep_current() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    error_ = error;
    const auto* const nesting = dynamic_cast<const std::nested_exception*>(&error);
    if (nesting != nullptr) nested_ = nesting->nested_ptr();
  } catch (...) {
    other_ = std::current_exception();
  }
}

void KeptFailure::rethrow() const {
  if (!error_) std::rethrow_exception(other_);
  if (!nested_) throw Error(error_->failure());
  try {
    std::rethrow_exception(nested_);
  } catch (...) {
    std::throw_with_nested(Error(error_->failure()));
  }
}

}  // namespace weir::detail
