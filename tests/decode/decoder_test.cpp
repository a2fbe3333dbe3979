#include "decode/decoder.hpp"

#include <doctest/doctest.h>

#include "decode/decoding.hpp"
#include "support/memory.hpp"
#include "support/size.hpp"

using namespace weir;
using namespace weir::test;

namespace {

/// An encoder of a whole list.
Encoder chain_encoder(std::string_view codings) {
  std::vector<Encoder> encoders;
  while (!codings.empty()) {
    const auto comma = std::min(codings.find(", "), codings.size());
    encoders.push_back(encoder_of(codings.substr(0, comma)));
    codings.remove_prefix(std::min(comma + 2, codings.size()));
  }
  return [encoders](std::string_view text, Push push) {
    std::string all(text);
    for (const auto& encoder : encoders) all = encoder(all, push);
    return all;
  };
}

// Without a checksum, wrong bytes may go unnoticed.
bool has_checksum(std::string_view codings) { return codings != "br" && codings != "raw deflate"; }

}  // namespace

TEST_SUITE_BEGIN("decode");

TEST_CASE("Decoder: every way to cut the input gives the same bytes") {
  each_coding([](std::string_view codings) {
    for (const std::size_t size : {0U, 1U, 100U, 5'000U}) {
      CAPTURE(size);
      const std::string text = prose(size);
      const std::string wire = encoded(codings, text);
      sweep(wire, [&](const auto& pieces) {
        for (const std::size_t room : {1U, 2U, 7U, 1000U, 65536U}) {
          CAPTURE(room);
          CHECK(decode_pieces(codings, pieces, room).is(text));
        }
      });
    }
  });
}

TEST_CASE("Decoder: large bodies come out whole, compressible or not") {
  const auto size = sized<std::size_t>(300'000, 3'000'000, 30'000'000);
  each_coding([&](std::string_view codings) {
    for (const auto& text : {prose(size), noise(size), std::string(size, '\0')}) {
      const std::string wire = encoded(codings, text);
      CHECK(decode_text(codings, wire).is(text));
      CHECK(decode_pieces(codings, cut(wire, 16'384)).is(text));
      CHECK(decode_pieces(codings, cut(wire, 1'000), 4'096).is(text));
    }
  });
}

TEST_CASE("Decoder: no bytes at all are a whole body") {
  each_coding([](std::string_view codings) { CHECK(decode_pieces(codings, {}).is("")); });
}

TEST_CASE("Decoder: data cut anywhere gives what came before, and is not whole") {
  const std::string text = prose(700);
  each_coding([&](std::string_view codings) {
    const std::string wire = encoded(codings, text);
    std::size_t before = 0;
    for (std::size_t size = 1; size < wire.size(); ++size) {
      CAPTURE(size);
      const Decoded decoded = decode_text(codings, std::string_view(wire).substr(0, size));
      CHECK(!decoded.whole);
      CHECK(!decoded.corrupt);
      CHECK(text.starts_with(decoded.text));
      CHECK(decoded.text.size() >= before);
      before = decoded.text.size();
      CHECK(decode_pieces(codings, cut(std::string_view(wire).substr(0, size), 1)).text ==
            decoded.text);
    }
  });
}

TEST_CASE("Decoder: with any bit flipped it ends, and wrong bytes are found by the checksum") {
  const std::string text = prose(400);
  each_coding([&](std::string_view codings) {
    const std::string wire = encoded(codings, text);
    int found = 0;
    for (std::size_t bit = 0; bit < 8 * wire.size(); ++bit) {
      CAPTURE(bit);
      std::string flipped = wire;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
      const Decoded decoded = decode_text(codings, flipped);
      const Decoded by_bytes = decode_pieces(codings, cut(flipped, 1), 50);
      CHECK(decoded.whole == by_bytes.whole);
      CHECK(decoded.corrupt == by_bytes.corrupt);
      if (decoded.whole && has_checksum(codings)) CHECK(decoded.text == text);
      CHECK(decoded.text.size() < (std::size_t{1} << 24));
      if (!decoded.whole) ++found;
    }
    CHECK(found > 0);
  });
}

TEST_CASE("Decoder: every flush comes out of the step that gets its last byte") {
  each_coding([](std::string_view codings) {
    for (const std::size_t size : {1U, 10U, 200U, 5'000U, 100'000U}) {
      CAPTURE(size);
      const Encoder encoder = chain_encoder(codings);
      const auto decoder = decoder_of(codings);
      const std::string text = prose(20 * size);
      Decoded decoded;
      for (std::size_t at = 0; at < text.size(); at += size) {
        const std::string wire = encoder(std::string_view(text).substr(at, size), Push::flush);
        for (const auto piece : cut(wire, 1'000)) feed(*decoder, piece, kRoom, decoded);
        CHECK(decoded.text.size() == at + size);
      }
      feed(*decoder, encoder("", Push::finish), kRoom, decoded);
      CHECK(decoded.is(text));
    }
  });
}

TEST_CASE("Decoder: what comes before corrupt data comes out, however it is cut") {
  const std::string text = prose(300'000);
  for (const std::string_view coding : {"gzip", "deflate", "raw deflate", "zstd"}) {
    CAPTURE(coding);
    const Encoder encoder = encoder_of(coding);
    std::string wire = encoder(text, Push::flush);
    wire += coding == "zstd" ? std::string(3, '\x07') : std::string(1, '\x07');  // no such block
    wire += std::string(100, '\xFF');
    for (const std::size_t size : {1U, 1000U, 65536U, kUncut}) {
      CAPTURE(size);
      const Decoded decoded = decode_pieces(coding, cut(wire, size));
      CHECK(decoded.corrupt);
      CHECK(decoded.text == text);
    }
  }
}

TEST_CASE("Decoder: a bomb comes out in steps, from little memory") {
  const std::size_t size = sized<std::size_t>(4, 64, 512) << 20;
  each_coding([&](std::string_view codings) {
    const std::string wire = encoded(codings, std::string(size, '\0'));
    CHECK(wire.size() < size / 500);
    const auto decoder = decoder_of(codings);
    std::vector<std::byte> out(kRoom);
    const std::size_t before = heap_in_use();
    std::size_t peak = before;
    std::size_t sum = 0;
    Bytes in = as_bytes(wire);
    for (Decoder::Step step{0, 0, Decoder::Status::output};
         step.status == Decoder::Status::output;) {
      step = decoder->step(in, out);
      in = in.subspan(step.consumed);
      sum += step.produced;
      peak = std::max(peak, heap_in_use());
    }
    CHECK(sum == size);
    CHECK(decoder->whole());
    if (!under_sanitizer()) CHECK(peak - before < (std::size_t{9} << 20));
  });
}

TEST_SUITE_END();
