#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cassert>
#include <new>

#include "decode/decoder.hpp"

namespace weir::decode {
namespace {

constexpr int kWindowLog = 23;  // 8 MiB: RFC 9659 section 3
constexpr std::size_t kBlockHeader = 3;
constexpr std::size_t kFrameHeader = 18;  // at most

// libzstd may know older formats as well, which are no content coding and heed no limit. If it
// cannot read a frame's header, it looks for theirs where the last piece of it began, if that has
// four bytes.
constexpr std::size_t kHeaderPiece = 3;

// The first byte of a frame, or of a skippable one.
constexpr bool begins_frame(std::byte first) {
  return first == std::byte{0x28} || (first & std::byte{0xF0}) == std::byte{0x50};
}

class Zstd final : public Decoder {
 public:
  Step step(Bytes in, std::span<std::byte> out) override;
  bool whole() const noexcept override { return between_; }
  std::string problem() const override { return problem_; }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const noexcept { ::ZSTD_freeDCtx(context); }
  };

  void start();
  void decode(Bytes in, std::span<std::byte> out, Step& all);
  std::size_t portion(std::size_t available) const noexcept;

  std::unique_ptr<ZSTD_DCtx, Free> context_;
  std::size_t hint_ = 0;   // bytes of input that the frame wants next, and a block header
  std::size_t begun_ = 0;  // bytes taken of the frame, as far as its header may reach
  bool full_ = false;      // the last step was: there may be more without any input
  bool between_ = true;    // no frame is open
  std::string problem_ = "cut short";
};

void Zstd::start() {
  context_.reset(::ZSTD_createDCtx());
  if (!context_) throw std::bad_alloc();
  ::ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kWindowLog);
}

// At most one block, or one header, at a time, and nothing until what is left of the last one is
// written: a call that fails does not tell what it has written.
std::size_t Zstd::portion(std::size_t available) const noexcept {
  if (full_) return 0;
  if (between_) return std::min<std::size_t>(available, 1);
  const std::size_t wanted = hint_ > kBlockHeader ? hint_ - kBlockHeader : hint_;
  return std::min({available, wanted, begun_ < kFrameHeader ? kHeaderPiece : wanted});
}

Decoder::Step Zstd::step(Bytes in, std::span<std::byte> out) {
  assert(!out.empty());
  Step all;
  if (!context_ && !in.empty()) start();
  while (all.status == Status::input && (full_ || all.consumed < in.size())) {
    const Bytes left = in.subspan(all.consumed);
    if (all.produced == out.size()) {
      all.status = Status::output;
    } else if (between_ && !begins_frame(left.front())) {
      problem_ = "not a frame";
      all.status = Status::corrupt;
    } else {
      decode(left.first(portion(left.size())), out.subspan(all.produced), all);
    }
  }
  return all;
}

void Zstd::decode(Bytes in, std::span<std::byte> out, Step& all) {
  ZSTD_inBuffer from{in.data(), in.size(), 0};
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  hint_ = ::ZSTD_decompressStream(context_.get(), &to, &from);
  if (::ZSTD_isError(hint_) != 0) {
    if (::ZSTD_getErrorCode(hint_) == ZSTD_error_memory_allocation) throw std::bad_alloc();
    problem_ = ::ZSTD_getErrorName(hint_);
    all.status = Status::corrupt;
    return;
  }
  all.consumed += from.pos;
  all.produced += to.pos;
  between_ = hint_ == 0;
  begun_ = between_ ? 0 : std::min(begun_ + from.pos, kFrameHeader);
  full_ = !between_ && to.pos == to.size;
  if (full_) all.status = Status::output;
}

}  // namespace

std::unique_ptr<Decoder> make_zstd() { return std::make_unique<Zstd>(); }

}  // namespace weir::decode
