#include <doctest/doctest.h>

#include "decode/decoding.hpp"

using namespace weir;
using namespace weir::test;

TEST_SUITE_BEGIN("decode");

TEST_CASE("Chain: is undone in reverse, and every pair goes together") {
  const std::string text = prose(100'000);
  for (const char* const first : {"gzip", "deflate", "br", "zstd"}) {
    for (const char* const second : {"gzip", "deflate", "br", "zstd"}) {
      const std::string codings = std::string(first) + ", " + second;
      CAPTURE(codings);
      const std::string wire = encoded(codings, text);
      CHECK(decode_text(codings, wire).is(text));
      CHECK(decode_pieces(codings, cut(wire, 777), 1000).is(text));
      if (std::string_view(first) != second)
        CHECK(!decode_text(std::string(second) + ", " + first, wire).whole);
    }
  }
}

TEST_CASE("Chain: what is wrong with either coding is told") {
  const std::string text = prose(1000);
  std::string outer = encoded("zstd, gzip", text);
  outer[outer.size() - 5] = static_cast<char>(outer[outer.size() - 5] + 1);  // its checksum
  std::string inner = encoded("zstd", text);
  inner.back() = static_cast<char>(inner.back() + 1);
  inner = encoded("gzip", inner);
  const auto problem_of = [](std::string_view wire) {
    const auto decoder = decoder_of("zstd, gzip");
    Decoded decoded;
    feed(*decoder, wire, kRoom, decoded);
    CHECK(!decoded.whole);
    return decoder->problem() + (decoded.corrupt ? "" : ", not corrupt");
  };
  CHECK(problem_of(outer) == "incorrect data check");
  CHECK(problem_of(inner).find("checksum") != std::string::npos);
  const std::string cut_inside = encoded("gzip", encoded("zstd", text).substr(0, 20));
  CHECK(problem_of(cut_inside) == "cut short, not corrupt");
  CHECK(problem_of(cut_inside.substr(0, 20)) == "cut short, not corrupt");
}

TEST_CASE("Chain: a bomb inside a bomb comes out in steps") {
  constexpr std::size_t kSize = 32 << 20;
  const std::string wire = encoded("gzip, gzip", std::string(kSize, '\0'));
  CHECK(wire.size() < 1000);
  const Decoded decoded = decode_text("gzip, gzip", wire);
  CHECK(decoded.text.size() == kSize);
  CHECK(decoded.whole);
  CHECK(decoded.steps >= kSize / kRoom);
}

TEST_CASE("Chain: a bomb of which nothing comes out is taken in steps as well") {
  std::string inner = encoder_of("gzip")("", Push::flush);
  while (inner.size() < 8 << 20) inner += std::string("\0\0\0\xFF\xFF", 5);  // empty blocks
  const std::string wire = encoded("gzip", inner);
  CHECK(wire.size() < 64 * 1024);
  const Decoded decoded = decode_text("gzip, gzip", wire);
  CHECK(decoded.text.empty());
  CHECK(!decoded.corrupt);
  CHECK(decoded.steps >= 25);
}

TEST_SUITE_END();
