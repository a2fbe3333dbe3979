#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "api/integrity.hpp"
#include "api/kept_failure.hpp"
#include "api/stream.hpp"

namespace weir::detail {

/// A body that is checked as it is read: one that does not match throws integrity_failed in place
/// of its end.
/// Memory: constant. Thread-safety: as Stream.
class IntegrityStream final : public Stream {
 public:
  IntegrityStream(std::unique_ptr<Stream> source, IntegrityMetadata metadata)
      : source_(std::move(source)), integrity_(std::move(metadata)) {}

  ReadResult pull(std::size_t max, const flow::Wait& wait) override;
  bool ready() noexcept override { return over_ || source_->ready(); }
  void enlist(flow::Waiter& waiter) noexcept override { source_->enlist(waiter); }
  bool withdraw(flow::Waiter& waiter) noexcept override { return source_->withdraw(waiter); }
  const std::shared_ptr<flow::Continuations>& continuations() const noexcept override {
    return source_->continuations();
  }
  void cancel() noexcept override { source_->cancel(); }
  bool discarded() const noexcept override { return source_->discarded(); }
  BodyStats stats() const noexcept override { return source_->stats(); }
  std::optional<std::uint64_t> length() const noexcept override { return source_->length(); }
  void expect_whole() noexcept override { source_->expect_whole(); }
  Headers trailers() const override { return source_->trailers(); }
  Failure failure(errc code, std::string detail) const override {
    return source_->failure(code, std::move(detail));
  }

 private:
  void finish();

  const std::unique_ptr<Stream> source_;
  Integrity integrity_;
  bool over_ = false;  // the end has come, and was looked at
  KeptFailure failed_;
};

/// `stream`, checked if `integrity`, of RequestInit, asks for it.
std::unique_ptr<Stream> verified(std::unique_ptr<Stream> stream, const std::string& integrity);

}  // namespace weir::detail
