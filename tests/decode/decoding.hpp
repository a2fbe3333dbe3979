#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "decode/codings.hpp"
#include "decode/decoder.hpp"
#include "decode/encoders.hpp"
#include "support/memory.hpp"
#include "support/sweep.hpp"

namespace weir::test {

using decode::Decoder;

inline constexpr std::size_t kRoom = 64 * 1024;

inline Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span<const char>(text)); }

inline std::unique_ptr<Decoder> decoder_of(std::string_view codings) {
  std::string problem;
  auto decoder = decode::make_decoder(codings == "raw deflate" ? "deflate" : codings, problem);
  REQUIRE_MESSAGE(decoder != nullptr, problem);
  return decoder;
}

/// What came out of a decoder.
struct Decoded {
  std::string text{};
  bool corrupt = false;
  bool whole = false;
  std::size_t steps = 0;

  /// All of `right`, and nothing wrong.
  bool is(std::string_view right) const { return !corrupt && whole && text == right; }
};

inline doctest::String toString(const Decoded& decoded) {
  return (std::to_string(decoded.text.size()) + " bytes" + (decoded.corrupt ? ", corrupt" : "") +
          (decoded.whole ? ", whole" : ", cut"))
      .c_str();
}

/// Feeds one piece, `room` bytes of output at a time. Throws what breaks the contract of step().
inline void feed(Decoder& decoder, std::string_view piece, std::size_t room, Decoded& all) {
  std::vector<std::byte> out(room);
  Bytes in = as_bytes(piece);
  while (!all.corrupt) {
    const auto step = decoder.step(in, out);
    ++all.steps;
    if (step.consumed > in.size() || step.produced > room) throw std::logic_error("overrun");
    in = in.subspan(step.consumed);
    all.text.append(reinterpret_cast<const char*>(out.data()), step.produced);
    all.corrupt = step.status == Decoder::Status::corrupt;
    if (step.status == Decoder::Status::input) {
      if (!in.empty()) throw std::logic_error("input left over");
      break;
    }
  }
  all.whole = !all.corrupt && decoder.whole();
}

inline Decoded decode_pieces(std::string_view codings, const std::vector<std::string_view>& pieces,
                             std::size_t room = kRoom) {
  const auto decoder = decoder_of(codings);
  Decoded all;
  all.whole = decoder->whole();
  for (const auto piece : pieces) feed(*decoder, piece, room, all);
  return all;
}

inline Decoded decode_text(std::string_view codings, std::string_view wire) {
  return decode_pieces(codings, {wire});
}

/// What a decoder held at most while it decoded `wire`, as the heap tells.
struct HeldBy {
  std::size_t bytes = 0;  // that came out
  std::size_t most_heap = 0;
};
inline HeldBy held_by(std::unique_ptr<decode::Decoder> (*make)(), std::string_view wire) {
  HeldBy held;
  std::vector<std::byte> out(kRoom);
  const std::size_t before = heap_in_use();
  const auto decoder = make();
  Bytes in = as_bytes(wire);
  for (auto status = Decoder::Status::output; status == Decoder::Status::output;) {
    const auto step = decoder->step(in.first(std::min<std::size_t>(in.size(), 100'000)), out);
    in = in.subspan(step.consumed);
    held.bytes += step.produced;
    held.most_heap = std::max(held.most_heap, heap_in_use() - before);
    status = in.empty() ? step.status : Decoder::Status::output;
  }
  return held;
}

inline constexpr std::array<std::string_view, 5> kCodings{"gzip", "deflate", "raw deflate", "br",
                                                          "zstd"};
inline constexpr std::array<std::string_view, 3> kChains{"gzip, br", "br, zstd", "zstd, gzip"};

/// Calls `run(codings)` for each coding, and for some chains.
template <class Run>
void each_coding(Run run) {
  for (const auto coding : kCodings) {
    CAPTURE(coding);
    run(coding);
  }
  for (const auto chain : kChains) {
    CAPTURE(chain);
    run(chain);
  }
}

}  // namespace weir::test
