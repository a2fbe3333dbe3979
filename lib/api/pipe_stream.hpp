#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "api/kept_failure.hpp"
#include "api/own_continuations.hpp"
#include "api/stream.hpp"
#include "base/thread.hpp"
#include "flow/waiter.hpp"
#include "weir/chunk.hpp"
#include "weir/generator.hpp"
#include "weir/reader.hpp"

namespace weir::detail {

/// A body that the program's function makes of another, one Chunk for each demand.
///
/// | state   | event                          | next    | action                                 |
/// |---------|--------------------------------|---------|----------------------------------------|
/// | idle    | a read that may block for ever | running | a step, on that thread                 |
/// | idle    | any other read, or look        | running | a step, on a thread of its own         |
/// | running | the step brings a Chunk        | idle    | keep it, wake who waits                |
/// | running | it brings the end, or throws   | over    | the same                               |
/// | any     | cancel()                       | over    | cancel the source, wake who waits      |
///
/// Invariants:
///  P1  `running_` is set by one at a time, under `mutex_`; the function and what it made belong to
///      that one, and to the reading thread while nobody has set it. No lock is held meanwhile.
///  P2  A step begins only when no Chunk is kept: nothing is made that was not asked for.
///  P3  Who waits has put its waiter into the slot and looked since then.
///
/// Memory: as `Body::pipe_through()`.
/// Thread-safety: as Stream.
/// Lifetime: destruction cancels, and waits for a step that runs on the thread of its own.
class PipeStream final : public Stream {
 public:
  using Transform = std::function<Generator<Chunk>(Reader)>;

  PipeStream(std::unique_ptr<Stream> source, Transform transform);
  ~PipeStream() override;

  ReadResult pull(std::size_t max, const flow::Wait& wait) override;
  bool ready() noexcept override;
  void enlist(flow::Waiter& waiter) noexcept override;
  bool withdraw(flow::Waiter& waiter) noexcept override;
  const std::shared_ptr<flow::Continuations>& continuations() const noexcept override {
    return continuations_.get();
  }
  void cancel() noexcept override;
  bool discarded() const noexcept override;
  BodyStats stats() const noexcept override;
  std::optional<std::uint64_t> length() const noexcept override { return std::nullopt; }
  Headers trailers() const override;
  Failure failure(errc code, std::string detail) const override;

 private:
  class Source;
  class SourceStream;
  struct Step {
    std::optional<Chunk> chunk{};  // null: the end
    KeptFailure thrown{};
  };

  ReadResult take(std::size_t max);
  bool run_here();
  void run_elsewhere();
  Step step() noexcept;
  void keep_thrown(KeptFailure& thrown) const noexcept;
  [[noreturn]] void rethrow_as_ours() const;
  void finish(Step step) noexcept;
  void work();
  bool is_over() const noexcept { return cancelled_ || ended_ || failure_; }

  const std::shared_ptr<Source> source_;
  OwnContinuations continuations_;
  // P1. In this order: what the function made goes before the function itself.
  Transform transform_;
  std::unique_ptr<Stream> unread_;  // what the function will read; null: it was called
  Generator<Chunk> generator_;

  mutable std::mutex mutex_;
  std::condition_variable asked_;
  // This and below: guarded by mutex_, but for worker_, which is the reading thread's.
  bool running_ = false;
  bool elsewhere_ = false;  // a step is asked of worker_
  bool leaving_ = false;
  bool cancelled_ = false;
  bool ended_ = false;
  bool delivered_ = false;  // the end or the failure
  KeptFailure failure_;
  Chunk ahead_;
  flow::Waiter* waiter_ = nullptr;
  std::atomic<std::uint64_t> given_{0};  // bytes; relaxed: a statistic
  Thread worker_;
};

}  // namespace weir::detail
