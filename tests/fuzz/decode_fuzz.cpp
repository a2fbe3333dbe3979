// Decodes what a server may send: all at once and byte by byte, which must give the same.
// WEIR_FUZZ_CODINGS, a macro, says which codings.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "decode/codings.hpp"

namespace {

using weir::Bytes;
using weir::decode::Decoder;

constexpr std::size_t kMost = std::size_t{4} << 20;  // bytes of output, to be done with bombs

struct Outcome {
  std::vector<std::byte> bytes{};
  bool corrupt = false;
  bool whole = false;
  bool stopped = false;  // there was too much of it
};

void check(bool condition) {
  if (!condition) std::abort();
}

void feed(Decoder& decoder, Bytes in, std::size_t room, Outcome& all) {
  std::vector<std::byte> out(room);
  auto status = Decoder::Status::output;
  while (status == Decoder::Status::output && !all.stopped) {
    const auto step = decoder.step(in, out);
    check(step.consumed <= in.size() && step.produced <= out.size());
    check(step.status != Decoder::Status::input || step.consumed == in.size());
    in = in.subspan(step.consumed);
    all.bytes.insert(all.bytes.end(), out.begin(),
                     out.begin() + static_cast<std::ptrdiff_t>(step.produced));
    all.stopped = all.bytes.size() > kMost;
    status = step.status;
  }
  all.corrupt = status == Decoder::Status::corrupt;
  if (all.corrupt) check(!decoder.problem().empty());
}

Outcome decoded(std::string_view codings, Bytes in, std::size_t piece, std::size_t room) {
  std::string problem;
  const auto decoder = weir::decode::make_decoder(codings, problem);
  check(decoder != nullptr);
  Outcome all;
  for (std::size_t at = 0; at < in.size() && !all.corrupt && !all.stopped; at += piece) {
    feed(*decoder, in.subspan(at, std::min(piece, in.size() - at)), room, all);
  }
  all.whole = !all.corrupt && decoder->whole();
  return all;
}

// An error of brotli takes with it what was decoded since the last output: decode/decoder.hpp. What
// zstd does not compress comes as it arrives, until it is found to be more than its frame may hold.
bool may_differ(std::string_view codings, std::size_t output, std::size_t input) {
  const auto has = [&](const char* coding) { return codings.find(coding) != codings.npos; };
  return has("br") || (has("zstd") && output <= input);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view codings = WEIR_FUZZ_CODINGS;
  const Bytes in = std::as_bytes(std::span(data, size));
  const Outcome one = decoded(codings, in, size == 0 ? 1 : size, 64 * 1024);
  const Outcome other = decoded(codings, in, 1, 1000);
  if (one.stopped || other.stopped) return 0;
  check(one.corrupt == other.corrupt && one.whole == other.whole);
  const auto common = std::min(one.bytes.size(), other.bytes.size());
  check(std::equal(one.bytes.begin(), one.bytes.begin() + static_cast<std::ptrdiff_t>(common),
                   other.bytes.begin()));
  const auto more = std::max(one.bytes.size(), other.bytes.size()) - common;
  check(more == 0 || (one.corrupt && may_differ(codings, more, in.size())));
  return 0;
}
