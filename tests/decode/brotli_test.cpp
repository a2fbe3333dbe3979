#include <doctest/doctest.h>

#include "decode/decoding.hpp"
#include "support/memory.hpp"
#include "support/size.hpp"

using namespace weir;
using namespace weir::test;

TEST_SUITE_BEGIN("decode");

TEST_CASE("br: what follows the end is ignored") {
  const std::string wire = encoded("br", "text");
  for (const std::string& garbage : {std::string(1, '\0'), std::string(100'000, 'x'), wire}) {
    sweep(wire + garbage,
          [&](const auto& pieces) { CHECK(decode_pieces("br", pieces).is("text")); });
  }
}

TEST_CASE("br: large windows, which no browser takes, are corrupt") {
  const auto decoder = decoder_of("br");
  Decoded decoded;
  feed(*decoder, encoded(brotli_encoder(26, true), prose(100'000)), kRoom, decoded);
  CHECK(decoded.corrupt);
  CHECK(decoded.text.empty());
  CHECK(!decoder->problem().empty());
}

TEST_CASE("br: at most 4 KiB of input is lost in front of corrupt data") {
  const std::string text = prose(100'000);
  std::string wire = brotli_encoder()(text, Push::flush);
  const std::size_t good = wire.size();
  wire += std::string(200, '\xFF');
  const Decoded by_bytes = decode_pieces("br", cut(wire, 1));
  CHECK(by_bytes.corrupt);
  CHECK(by_bytes.text.starts_with(text));
  const Decoded at_once = decode_text("br", wire);
  CHECK(at_once.corrupt);
  const Decoded without = decode_text("br", std::string_view(wire).substr(0, good - 4096));
  CHECK(at_once.text.size() >= without.text.size());
  CHECK(by_bytes.text.starts_with(at_once.text));
}

TEST_CASE("br: takes at most 28 MiB, with the largest window") {
  if (under_sanitizer()) return;
  const std::string text = noise(40 << 20);
  const std::string wire = encoded(brotli_encoder(24), text);
  const HeldBy held = held_by(decode::make_brotli, wire);
  CHECK(held.bytes == text.size());
  CHECK(held.most_heap > std::size_t{16} << 20);
  CHECK(held.most_heap < std::size_t{28} << 20);
  MESSAGE("br, 16 MiB window: ", held.most_heap, " bytes");
}

TEST_SUITE_END();
