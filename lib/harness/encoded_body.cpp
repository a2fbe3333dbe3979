#include "harness/encoded_body.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "harness/pattern.hpp"

namespace weir::harness {
namespace {

constexpr std::uint64_t kPiece = 64 * 1024;  // bytes of content at a time

}  // namespace

EncodedBody::EncodedBody(const BodyPlan& plan)
    : plan_(plan.encoded), seed_(plan.seed), encoders_(plan_.codings) {}

void EncodedBody::fill() {
  while (bytes.empty() && !finished_) {
    std::uint64_t size = std::min(kPiece, plan_.length - offset_);
    if (plan_.flush > 0) size = std::min(size, plan_.flush - offset_ % plan_.flush);
    std::string piece(static_cast<std::size_t>(size), '\0');
    if (!plan_.zeros) pattern::fill(seed_, offset_, std::as_writable_bytes(std::span(piece)));
    offset_ += size;
    finished_ = offset_ == plan_.length;
    const bool flush = plan_.flush > 0 && offset_ % plan_.flush == 0;
    const auto push = finished_ ? Encoder::Push::finish
                      : flush   ? Encoder::Push::flush
                                : Encoder::Push::data;
    bytes += encoders_.add(std::move(piece), push);
  }
}

}  // namespace weir::harness
