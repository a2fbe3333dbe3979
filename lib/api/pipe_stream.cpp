#include "api/pipe_stream.hpp"

#include <exception>
#include <new>
#include <utility>

#include "api/blocking.hpp"
#include "api/wakes.hpp"
#include "weir/error.hpp"

namespace weir::detail {

/// The body that the function reads.
/// Lifetime: shared by the PipeStream, which any thread may cancel, and by the Reader that the
/// function has, which it may keep for as long as it likes.
class PipeStream::Source {
 public:
  explicit Source(std::unique_ptr<Stream> source) noexcept : stream(std::move(source)) {}

  void cancel() noexcept {
    // relaxed: it orders nothing.
    if (!cancelled_.exchange(true, std::memory_order_relaxed)) stream->cancel();
  }

  const std::unique_ptr<Stream> stream;
  bool ended = false;   // this and below: of who reads it
  bool failed = false;  // a read of it threw

 private:
  std::atomic<bool> cancelled_{false};
};

/// What the function's Reader reads.
class PipeStream::SourceStream final : public Stream {
 public:
  explicit SourceStream(std::shared_ptr<Source> source) noexcept : source_(std::move(source)) {}
  ~SourceStream() override {
    if (!source_->ended) source_->cancel();
  }

  ReadResult pull(std::size_t max, const flow::Wait& wait) override {
    try {
      ReadResult result = source_->stream->pull(max, wait);
      if (result.status == ReadStatus::end) source_->ended = true;
      return result;
    } catch (...) {
      source_->failed = true;
      throw;
    }
  }
  bool ready() noexcept override { return source_->stream->ready(); }
  void enlist(flow::Waiter& waiter) noexcept override { source_->stream->enlist(waiter); }
  bool withdraw(flow::Waiter& waiter) noexcept override {
    return source_->stream->withdraw(waiter);
  }
  const std::shared_ptr<flow::Continuations>& continuations() const noexcept override {
    return source_->stream->continuations();
  }
  void cancel() noexcept override { source_->cancel(); }
  bool discarded() const noexcept override { return source_->stream->discarded(); }
  BodyStats stats() const noexcept override { return source_->stream->stats(); }
  std::optional<std::uint64_t> length() const noexcept override {
    return source_->stream->length();
  }
  void expect_whole() noexcept override { source_->stream->expect_whole(); }
  Headers trailers() const override { return source_->stream->trailers(); }
  Failure failure(errc code, std::string detail) const override {
    return source_->stream->failure(code, std::move(detail));
  }
  bool is_stuck(std::thread::id thread) const noexcept override {
    return source_->stream->is_stuck(thread);
  }

 private:
  const std::shared_ptr<Source> source_;
};

PipeStream::PipeStream(std::unique_ptr<Stream> source, Transform transform)
    : source_(std::make_shared<Source>(std::move(source))),
      continuations_(*source_->stream),
      transform_(std::move(transform)),
      unread_(std::make_unique<SourceStream>(source_)) {}

PipeStream::~PipeStream() {
  cancel();
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
    asked_.notify_one();
  }
  if (worker_.joinable()) worker_.join();
}

ReadResult PipeStream::pull(std::size_t max, const flow::Wait& wait) {
  const bool here = wait.block && wait.deadline == TimePoint::max() && !wait.stop.stop_possible();
  for (;;) {
    if (wait.stop.stop_requested()) return {.status = ReadStatus::stopped};
    ReadResult result = take(max);
    if (result.status != ReadStatus::pending) return result;
    if (here && run_here()) continue;
    if (ready()) continue;
    if (!wait.block) return result;
    const Woken woken = block_until_ready(*this, wait, wait.deadline);
    if (woken == Woken::stopped) return {.status = ReadStatus::stopped};
    if (woken == Woken::late) return {.status = ReadStatus::pending};
  }
}

ReadResult PipeStream::take(std::size_t max) {
  Generator<Chunk> over;  // goes when the lock is free
  const std::lock_guard lock(mutex_);
  if (cancelled_) {
    if (!running_) over = std::move(generator_);
    throw Error(failure(errc::aborted, "cancelled"));
  }
  if (running_) return {.status = ReadStatus::pending};
  if (!ahead_.empty()) {
    ReadResult result{ReadStatus::data, ahead_.slice(0, max)};
    ahead_ = ahead_.slice(result.chunk.size());
    given_.fetch_add(result.chunk.size(), std::memory_order_relaxed);
    return result;
  }
  delivered_ = is_over();
  if (failure_) failure_.rethrow();
  return {.status = ended_ ? ReadStatus::end : ReadStatus::pending};
}

/// A step on this thread, unless one is under way elsewhere.
bool PipeStream::run_here() {
  {
    const std::lock_guard lock(mutex_);
    if (running_) return false;
    if (is_over()) return true;
    running_ = true;
  }
  finish(step());
  return true;
}

bool PipeStream::ready() noexcept {
  const std::lock_guard lock(mutex_);
  if (cancelled_) return true;
  if (running_) return false;
  if (is_over() || !ahead_.empty()) return true;
  try {
    run_elsewhere();
    return false;
  } catch (...) {
    failure_.keep_current();  // no thread, no memory
    return true;
  }
}

void PipeStream::run_elsewhere() {
  if (!worker_.joinable()) worker_ = Thread("weir-pipe", [this] { work(); });
  running_ = elsewhere_ = true;
  asked_.notify_one();
}

void PipeStream::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    asked_.wait(lock, [this] { return elsewhere_ || leaving_; });
    if (!elsewhere_) return;
    elsewhere_ = false;
    lock.unlock();
    finish(step());
    lock.lock();
  }
}

PipeStream::Step PipeStream::step() noexcept {
  Step step;
  try {
    if (unread_) generator_ = transform_(Reader(std::move(unread_)));
    do {
      step.chunk = generator_.next();
    } while (step.chunk && step.chunk->empty() && !discarded());
  } catch (...) {
    keep_thrown(step.thrown);
  }
  return step;
}

/// In a handler: what the reader shall get of what was caught.
void PipeStream::keep_thrown(KeptFailure& thrown) const noexcept {
  try {
    rethrow_as_ours();
  } catch (...) {
    thrown.keep_current();
  }
}

void PipeStream::rethrow_as_ours() const {
  std::string detail = "pipe_through()";
  try {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const Error& error) {
    if (source_->failed) throw;
    detail = detail + ": " + error.what();
  } catch (const std::exception& error) {
    detail = detail + ": " + error.what();
  } catch (...) {
    detail += ": threw what is no std::exception";
  }
  std::throw_with_nested(Error(failure(errc::source_failed, detail)));
}

void PipeStream::finish(Step step) noexcept {
  Wakes wakes;
  const std::lock_guard lock(mutex_);
  running_ = false;
  if (step.thrown) {
    failure_ = std::move(step.thrown);
  } else if (step.chunk) {
    ahead_ = std::move(*step.chunk);
  } else {
    ended_ = true;
  }
  if (cancelled_) ahead_ = {};
  wakes.add(waiter_);
}

void PipeStream::enlist(flow::Waiter& waiter) noexcept {
  const std::lock_guard lock(mutex_);
  waiter_ = &waiter;
}

bool PipeStream::withdraw(flow::Waiter& waiter) noexcept {
  const std::lock_guard lock(mutex_);
  if (waiter_ != &waiter) return false;
  waiter_ = nullptr;
  return true;
}

void PipeStream::cancel() noexcept {
  Wakes wakes;
  {
    const std::lock_guard lock(mutex_);
    if (cancelled_ || delivered_) return;
    cancelled_ = true;
    ahead_ = {};
    wakes.add(waiter_);
  }
  source_->cancel();
}

bool PipeStream::discarded() const noexcept {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

BodyStats PipeStream::stats() const noexcept {
  BodyStats stats = source_->stream->stats();
  stats.decoded = given_.load(std::memory_order_relaxed);
  return stats;
}

Headers PipeStream::trailers() const {
  const std::lock_guard lock(mutex_);
  return delivered_ && ended_ ? source_->stream->trailers() : Headers();
}

Failure PipeStream::failure(errc code, std::string detail) const {
  return source_->stream->failure(code, std::move(detail));
}

}  // namespace weir::detail
