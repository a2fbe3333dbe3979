#pragma once

#include <functional>
#include <memory>

#include "api/stream.hpp"
#include "flow/continuations.hpp"

namespace weir::detail {

/// Where coroutines go on that wait for something made of `source`: where they do for the source
/// itself; or, for one that nobody ever waits for, on a thread of its own, started when wanted.
/// Thread-safety: as any value.
class OwnContinuations {
 public:
  explicit OwnContinuations(const Stream& source)
      : own_(!source.continuations()),
        continuations_(own_ ? std::make_shared<flow::Continuations>(flow::Continuations::Resume())
                            : source.continuations()) {}
  OwnContinuations(const OwnContinuations&) = delete;
  OwnContinuations& operator=(const OwnContinuations&) = delete;
  ~OwnContinuations() { stop(); }

  const std::shared_ptr<flow::Continuations>& get() const noexcept { return continuations_; }
  /// Ends the thread, if there is one of its own.
  void stop() noexcept {
    if (own_) continuations_->stop();
  }

 private:
  const bool own_;
  const std::shared_ptr<flow::Continuations> continuations_;
};

}  // namespace weir::detail
