// Decodes what a server may send: all at once and byte by byte, which must give the same.
// The first byte chooses the codings; WEIR_FUZZ_CODINGS, as a macro, fixes them.

#include <algorithm>
#include <array>
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

constexpr std::array<std::string_view, 8> kCodings{
    "gzip", "deflate", "br", "zstd", "gzip, gzip", "br, gzip", "gzip, br", "zstd, deflate"};
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

// An error of brotli takes with it what was decoded since the last output: decode/decoder.hpp.
bool may_lose_output(std::string_view codings) {
  return codings.find("br") != std::string_view::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
#ifdef WEIR_FUZZ_CODINGS
  const std::string_view codings = WEIR_FUZZ_CODINGS;
#else
  if (size == 0) return 0;
  const std::string_view codings = kCodings[*data++ % kCodings.size()];
  --size;
#endif
  const Bytes in = std::as_bytes(std::span(data, size));
  const Outcome one = decoded(codings, in, size == 0 ? 1 : size, 64 * 1024);
  const Outcome other = decoded(codings, in, 1, 1000);
  if (one.stopped || other.stopped) return 0;
  check(one.corrupt == other.corrupt && one.whole == other.whole);
  const auto common = std::min(one.bytes.size(), other.bytes.size());
  check(std::equal(one.bytes.begin(), one.bytes.begin() + static_cast<std::ptrdiff_t>(common),
                   other.bytes.begin()));
  check(one.bytes.size() == other.bytes.size() || (one.corrupt && may_lose_output(codings)));
  return 0;
}
