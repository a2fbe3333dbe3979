#include <array>
#include <utility>

#include "decode/decoder.hpp"

namespace weir::decode {
namespace {

// Pieces of what lies between the two, in one step: the inner one may make nothing of them, and the
// outer one any number of them from a few bytes.
constexpr int kMostPieces = 16;

class Chain final : public Decoder {
 public:
  Chain(std::unique_ptr<Decoder> outer, std::unique_ptr<Decoder> inner)
      : outer_(std::move(outer)), inner_(std::move(inner)) {}

  Step step(Bytes in, std::span<std::byte> out) override;
  bool whole() const noexcept override { return outer_->whole() && inner_->whole(); }
  std::string problem() const override {
    const bool inner = failed_ == inner_.get() || (failed_ == nullptr && outer_->whole());
    return (inner ? inner_ : outer_)->problem();
  }

 private:
  Status drain(std::span<std::byte> out, Step& all);
  Status refill(Bytes in, Step& all);

  const std::unique_ptr<Decoder> outer_;
  const std::unique_ptr<Decoder> inner_;
  const Decoder* failed_ = nullptr;  // found corrupt
  Bytes between_;                    // of middle_: given out by outer_ and not taken by inner_
  bool outer_full_ = false;          // there may be more without any input
  bool inner_full_ = false;
  bool outer_failed_ = false;  // after what is in between_
  std::array<std::byte, 16 * 1024> middle_;
};

Decoder::Step Chain::step(Bytes in, std::span<std::byte> out) {
  Step all;
  for (int pieces = 0; all.status == Status::input; ++pieces) {
    all.status = drain(out.subspan(all.produced), all);
    if (all.status != Status::input) break;
    if (!outer_failed_ && !outer_full_ && all.consumed == in.size()) break;
    all.status = pieces < kMostPieces ? refill(in.subspan(all.consumed), all) : Status::output;
  }
  return all;
}

Decoder::Status Chain::drain(std::span<std::byte> out, Step& all) {
  if (between_.empty() && !inner_full_) return Status::input;
  if (out.empty()) return Status::output;
  const Step step = inner_->step(between_, out);
  between_ = between_.subspan(step.consumed);
  all.produced += step.produced;
  inner_full_ = step.status == Status::output;
  if (step.status == Status::corrupt) failed_ = inner_.get();
  return step.status;
}

Decoder::Status Chain::refill(Bytes in, Step& all) {
  if (outer_failed_) {
    failed_ = outer_.get();
    return Status::corrupt;
  }
  const Step step = outer_->step(in, middle_);
  all.consumed += step.consumed;
  between_ = Bytes(middle_).first(step.produced);
  outer_full_ = step.status == Status::output;
  outer_failed_ = step.status == Status::corrupt;
  return Status::input;
}

}  // namespace

std::unique_ptr<Decoder> make_chain(std::unique_ptr<Decoder> outer,
                                    std::unique_ptr<Decoder> inner) {
  return std::make_unique<Chain>(std::move(outer), std::move(inner));
}

}  // namespace weir::decode
