#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "api/chunk_pack.hpp"
#include "api/kept_failure.hpp"
#include "api/own_continuations.hpp"
#include "api/stream.hpp"
#include "api/wakes.hpp"
#include "flow/waiter.hpp"
#include "weir/chunk.hpp"

namespace weir::detail {

/// What the two branches of a tee share: the source, and for each branch the Chunks that the other
/// has had already. A Chunk is pulled once and goes to both, sharing its slab.
///
/// Who pulls: whoever reads and finds nothing, so nothing is read ahead of the faster branch; but
/// not while the other branch, unless it is gone, is more than `lag` bytes behind. Pulling never
/// waits. Who waits does so in the slot of its branch, and the Tee itself waits with the source.
///
/// Invariants:
///  T1  All is guarded by `mutex_`, except the source, which belongs to who has set `pulling_`; to
///      who holds `mutex_` while nobody has. No lock is held while the source pulls or looks, or
///      while a waiter is woken.
///  T2  Who waits has put its waiter into its slot and looked since then: advance(). A look that
///      finds the source taken sets `refused_`, and who has taken it wakes the other when done. So
///      does what the other one waits for: bytes, the end, a failure, room (its sibling came to
///      `lag` or less, or is gone), and cancel().
///  T3  If a look leaves somebody waiting for the source itself, the Tee is enlisted there, and was
///      before the source was looked at. wake() wakes both slots; they look again.
///  T4  While `enlisted_`, `self_` keeps this alive: wake() takes it, or a withdraw() that
///      succeeds.
///  T5  The source is destroyed by who drops the second branch: the program's thread.
///
/// Memory: each branch holds at most `lag` + kPiece bytes that the other has had, in the slabs that
/// they came in; runs of bytes of one slab are one Chunk. What would be a small Chunk, which may
/// keep a slab for itself, is copied behind the one before: so the slabs are about four times the
/// bytes at most.
/// Thread-safety: one thread at a time for each side; `cancel()` and `stats()` from any.
/// Lifetime: shared by its two branches, which two threads may drop, and by who wakes it.
class Tee final : public flow::Waiter, public std::enable_shared_from_this<Tee> {
 public:
  static constexpr std::size_t kPiece = std::size_t{64} << 10;  // bytes pulled at once
  enum class Side : std::uint8_t { first, second };

  Tee(std::unique_ptr<Stream> source, std::size_t lag);

  /// What is there for this side: data, end, or pending. Throws the failure.
  ReadResult take(Side side, std::size_t max);
  /// Looks whether there is, or can be had from the source, something for this side.
  bool advance(Side side) noexcept;
  void enlist(Side side, flow::Waiter& waiter) noexcept;
  bool withdraw(Side side, flow::Waiter& waiter) noexcept;
  /// A read of this side on `thread` waits for a read of the other that nobody else will do.
  bool is_stuck(Side side, std::thread::id thread) const noexcept;
  /// The side fails, and holds up nobody any more.
  void refuse(Side side, errc code, std::string detail);
  void cancel(Side side) noexcept;
  /// By the branch that goes.
  void drop(Side side) noexcept;
  void expect_whole(Side side) noexcept;

  bool discarded(Side side) const noexcept;
  BodyStats stats(Side side) const noexcept;
  Headers trailers(Side side) const;
  std::optional<std::uint64_t> length() const noexcept { return length_; }
  Failure failure(errc code, std::string detail) const {
    return source_->failure(code, std::move(detail));
  }
  const std::shared_ptr<flow::Continuations>& continuations() const noexcept {
    return continuations_.get();
  }

  Kind wake() noexcept override;

 private:
  struct Branch {
    std::deque<Chunk> queue{};
    ChunkPack pack{};
    std::size_t queued = 0;   // bytes in the queue
    std::uint64_t given = 0;  // bytes
    flow::Waiter* waiter = nullptr;
    std::thread::id last_reader{};
    KeptFailure refused{};
    bool gone = false;      // cancelled, dropped or refused: it holds up nobody
    bool finished = false;  // the end or the failure was delivered
    bool whole = false;     // it will be read to its end
  };

  Branch& at(Side side) noexcept { return branches_[static_cast<std::size_t>(side)]; }
  const Branch& at(Side side) const noexcept { return branches_[static_cast<std::size_t>(side)]; }
  static Side opposite(Side side) noexcept {
    return side == Side::first ? Side::second : Side::first;
  }
  bool is_held_up(Side side) const noexcept;
  bool begin_pulling(Side side, bool& result) noexcept;
  void end_pulling(Side side, ReadResult& result, const KeptFailure& thrown) noexcept;
  void deliver(Branch& branch, const Chunk& chunk);
  void discard() noexcept;
  void leave(Side side) noexcept;

  const std::size_t lag_;
  std::unique_ptr<Stream> source_;
  const std::optional<std::uint64_t> length_;
  OwnContinuations continuations_;

  mutable std::mutex mutex_;
  // This and below: guarded by mutex_.
  std::array<Branch, 2> branches_{};
  KeptFailure failure_;
  bool over_ = false;      // the source has ended or failed
  bool pulling_ = false;   // T1
  bool refused_ = false;   // T2
  bool enlisted_ = false;  // T3
  bool told_whole_ = false;
  int held_ = 2;               // branches not dropped
  std::shared_ptr<Tee> self_;  // T4
};

/// One branch of a tee.
///
/// A blocking read without a deadline or stop that waits for the other branch, which nobody else
/// reads, throws would_deadlock after `patience`: see `Body::tee()`.
/// Thread-safety: as Stream.
class TeeStream final : public Stream {
 public:
  static constexpr std::chrono::seconds kPatience{10};

  TeeStream(std::shared_ptr<Tee> tee, Tee::Side side, std::chrono::nanoseconds patience)
      : tee_(std::move(tee)), side_(side), patience_(patience) {}
  ~TeeStream() override { tee_->drop(side_); }

  ReadResult pull(std::size_t max, const flow::Wait& wait) override;
  bool ready() noexcept override { return tee_->advance(side_); }
  void enlist(flow::Waiter& waiter) noexcept override { tee_->enlist(side_, waiter); }
  bool withdraw(flow::Waiter& waiter) noexcept override { return tee_->withdraw(side_, waiter); }
  const std::shared_ptr<flow::Continuations>& continuations() const noexcept override {
    return tee_->continuations();
  }
  void cancel() noexcept override { tee_->cancel(side_); }
  bool discarded() const noexcept override { return tee_->discarded(side_); }
  BodyStats stats() const noexcept override { return tee_->stats(side_); }
  std::optional<std::uint64_t> length() const noexcept override { return tee_->length(); }
  void expect_whole() noexcept override { tee_->expect_whole(side_); }
  Headers trailers() const override { return tee_->trailers(side_); }
  Failure failure(errc code, std::string detail) const override {
    return tee_->failure(code, std::move(detail));
  }
  bool is_stuck(std::thread::id thread) const noexcept override {
    return tee_->is_stuck(side_, thread);
  }

 private:
  const std::shared_ptr<Tee> tee_;
  const Tee::Side side_;
  const std::chrono::nanoseconds patience_;
};

/// Both branches of a tee of `source`.
std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> make_tee(
    std::unique_ptr<Stream> source, std::size_t lag,
    std::chrono::nanoseconds patience = TeeStream::kPatience);

}  // namespace weir::detail
