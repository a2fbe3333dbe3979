#include <brotli/decode.h>

#include <algorithm>
#include <cassert>
#include <new>

#include "decode/decoder.hpp"

namespace weir::decode {
namespace {

// Bytes of input at a time. An error takes with it what was decoded since the last output, and
// output is certain only where the input was used up.
constexpr std::size_t kPiece = 4096;

class Brotli final : public Decoder {
 public:
  Step step(Bytes in, std::span<std::byte> out) override;
  bool whole() const noexcept override { return ended_ || !state_; }
  std::string problem() const override { return problem_; }

 private:
  struct Destroy {
    void operator()(BrotliDecoderState* state) const noexcept {
      ::BrotliDecoderDestroyInstance(state);
    }
  };

  void start();
  void decode(Bytes in, std::span<std::byte> out, Step& all);
  void fail();

  std::unique_ptr<BrotliDecoderState, Destroy> state_;
  bool full_ = false;  // the last step was: there may be more without any input
  bool ended_ = false;
  std::string problem_ = "cut short";
};

void Brotli::start() {
  state_.reset(::BrotliDecoderCreateInstance(nullptr, nullptr, nullptr));
  if (!state_) throw std::bad_alloc();
  ::BrotliDecoderSetParameter(state_.get(), BROTLI_DECODER_PARAM_LARGE_WINDOW, 0);
}

Decoder::Step Brotli::step(Bytes in, std::span<std::byte> out) {
  assert(!out.empty());
  Step all;
  if (!state_ && !in.empty()) start();
  while (!ended_ && all.status == Status::input && (full_ || all.consumed < in.size())) {
    const Bytes left = in.subspan(all.consumed);
    decode(left.first(std::min(left.size(), kPiece)), out.subspan(all.produced), all);
  }
  if (ended_) all.consumed = in.size();
  return all;
}

void Brotli::decode(Bytes in, std::span<std::byte> out, Step& all) {
  std::size_t left = in.size();
  std::size_t room = out.size();
  const auto* next = reinterpret_cast<const std::uint8_t*>(in.data());
  auto* to = reinterpret_cast<std::uint8_t*>(out.data());
  const BrotliDecoderResult result =
      ::BrotliDecoderDecompressStream(state_.get(), &left, &next, &room, &to, nullptr);
  all.consumed += in.size() - left;
  all.produced += out.size() - room;
  full_ = false;
  switch (result) {
    case BROTLI_DECODER_RESULT_SUCCESS: ended_ = true; return;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT: full_ = true; break;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT:
      full_ = ::BrotliDecoderHasMoreOutput(state_.get()) == BROTLI_TRUE;
      break;
    case BROTLI_DECODER_RESULT_ERROR:
      fail();
      all.status = Status::corrupt;
      return;
  }
  if (full_) all.status = Status::output;
}

void Brotli::fail() {
  const BrotliDecoderErrorCode code = ::BrotliDecoderGetErrorCode(state_.get());
  const bool memory = code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
                      code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
  if (memory) throw std::bad_alloc();
  problem_ = ::BrotliDecoderErrorString(code);
}

}  // namespace

std::unique_ptr<Decoder> make_brotli() { return std::make_unique<Brotli>(); }

}  // namespace weir::decode
