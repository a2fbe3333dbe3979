// What lib/decode and DecodingStream add to the codecs' own streaming APIs, on the same bytes in
// the same pieces.

#include <benchmark/benchmark.h>
#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "api/decoding_stream.hpp"
#include "harness/encoder.hpp"

namespace weir::bench {
namespace {

constexpr std::size_t kPiece = 64 * 1024;  // bytes of input at once, and of output
constexpr std::size_t kSize = std::size_t{32} << 20;

/// Half text, half noise: what pages and JSON compress like.
std::string content() {
  std::string text;
  std::uint64_t state = 88172645463325252U;
  while (text.size() < kSize) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    text +=
        "{\"id\": " + std::to_string(state >> 40) + ", \"name\": \"reader\", \"waits\": true},\n";
  }
  text.resize(kSize);
  return text;
}

const std::string& wire_of(std::string_view coding) {
  static std::array<std::string, 3> wires;
  std::string& wire = wires[coding == "gzip" ? 0 : coding == "br" ? 1 : 2];
  if (wire.empty()) {
    harness::make_encoder(coding)->add(content(), harness::Encoder::Push::finish, wire);
  }
  return wire;
}

std::size_t zlib_alone(std::string_view wire, std::vector<std::byte>& out) {
  z_stream zlib{};
  ::inflateInit2(&zlib, 31);
  std::size_t sum = 0;
  for (std::size_t at = 0; at < wire.size(); at += kPiece) {
    const auto piece = wire.substr(at, kPiece);
    zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    zlib.avail_in = static_cast<uInt>(piece.size());
    do {
      zlib.next_out = reinterpret_cast<Bytef*>(out.data());
      zlib.avail_out = static_cast<uInt>(out.size());
      ::inflate(&zlib, Z_SYNC_FLUSH);
      sum += out.size() - zlib.avail_out;
    } while (zlib.avail_out == 0);
  }
  ::inflateEnd(&zlib);
  return sum;
}

std::size_t brotli_alone(std::string_view wire, std::vector<std::byte>& out) {
  auto* const state = ::BrotliDecoderCreateInstance(nullptr, nullptr, nullptr);
  std::size_t sum = 0;
  for (std::size_t at = 0; at < wire.size(); at += kPiece) {
    const auto piece = wire.substr(at, kPiece);
    auto left = piece.size();
    const auto* next = reinterpret_cast<const std::uint8_t*>(piece.data());
    BrotliDecoderResult result;
    do {
      std::size_t room = out.size();
      auto* to = reinterpret_cast<std::uint8_t*>(out.data());
      result = ::BrotliDecoderDecompressStream(state, &left, &next, &room, &to, nullptr);
      sum += out.size() - room;
    } while (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
  }
  ::BrotliDecoderDestroyInstance(state);
  return sum;
}

std::size_t zstd_alone(std::string_view wire, std::vector<std::byte>& out) {
  ZSTD_DCtx* const context = ::ZSTD_createDCtx();
  std::size_t sum = 0;
  for (std::size_t at = 0; at < wire.size(); at += kPiece) {
    const auto piece = wire.substr(at, kPiece);
    ZSTD_inBuffer in{piece.data(), piece.size(), 0};
    ZSTD_outBuffer to{};
    do {
      to = {out.data(), out.size(), 0};
      ::ZSTD_decompressStream(context, &to, &in);
      sum += to.pos;
    } while (in.pos < in.size || to.pos == to.size);
  }
  ::ZSTD_freeDCtx(context);
  return sum;
}

/// A wire whose pieces are at hand.
class Pieces final : public detail::ReadyStream {
 public:
  explicit Pieces(const std::vector<Chunk>& chunks) : chunks_(chunks) {}
  ReadResult pull(std::size_t, const flow::Wait&) override {
    if (next_ == chunks_.size()) return {.status = ReadStatus::end};
    return {.status = ReadStatus::data, .chunk = chunks_[next_++]};
  }
  void cancel() noexcept override {}
  BodyStats stats() const noexcept override { return {}; }
  std::optional<std::uint64_t> length() const noexcept override { return std::nullopt; }

 private:
  const std::vector<Chunk>& chunks_;
  std::size_t next_ = 0;
};

using Decode = std::size_t(std::string_view, std::vector<std::byte>&);

void codec(benchmark::State& state, const char* coding, Decode* decode) {
  const std::string& wire = wire_of(coding);
  std::vector<std::byte> out(kPiece);
  for (auto _ : state) {
    if (decode(wire, out) != kSize) throw std::runtime_error("wrong size");
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kSize));
}

void weir_stream(benchmark::State& state, const char* coding) {
  const std::string& wire = wire_of(coding);
  std::vector<Chunk> chunks;
  for (std::size_t at = 0; at < wire.size(); at += kPiece) {
    chunks.push_back(Chunk::copy_of(std::string_view(wire).substr(at, kPiece)));
  }
  for (auto _ : state) {
    detail::DecodingStream stream(std::make_unique<Pieces>(chunks), coding);
    std::size_t sum = 0;
    while (const auto result = stream.pull(kPiece, flow::Wait::for_ever())) {
      sum += result.chunk.size();
    }
    if (sum != kSize) throw std::runtime_error("wrong size");
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kSize));
}

BENCHMARK_CAPTURE(codec, gzip, "gzip", &zlib_alone)->UseRealTime();
BENCHMARK_CAPTURE(weir_stream, gzip, "gzip")->UseRealTime();
BENCHMARK_CAPTURE(codec, br, "br", &brotli_alone)->UseRealTime();
BENCHMARK_CAPTURE(weir_stream, br, "br")->UseRealTime();
BENCHMARK_CAPTURE(codec, zstd, "zstd", &zstd_alone)->UseRealTime();
BENCHMARK_CAPTURE(weir_stream, zstd, "zstd")->UseRealTime();

}  // namespace
}  // namespace weir::bench

BENCHMARK_MAIN();
