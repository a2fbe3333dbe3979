#include <doctest/doctest.h>

#include "decode/decoding.hpp"
#include "support/memory.hpp"
#include "support/size.hpp"

using namespace weir;
using namespace weir::test;

namespace {

const std::string kSkippable("\x5A\x2A\x4D\x18\x03\0\0\0abc", 11);

}  // namespace

TEST_SUITE_BEGIN("decode");

TEST_CASE("zstd: frames follow one another, empty and skippable ones too") {
  const std::string text = prose(1000);
  const std::string frame = encoded("zstd", text);
  const std::string wire = kSkippable + frame + encoded("zstd", "") + kSkippable + frame;
  sweep(wire, [&](const auto& pieces) {
    CHECK(decode_pieces("zstd", pieces).is(text + text));
    CHECK(decode_pieces("zstd", pieces, 1000).is(text + text));
  });
}

TEST_CASE("zstd: what follows a frame must be another") {
  const std::string wire = encoded("zstd", "text");
  for (const std::string& garbage :
       {std::string(1, '\0'), std::string("garbage"), std::string(100'000, '\0')}) {
    sweep(wire + garbage, [](const auto& pieces) {
      const Decoded decoded = decode_pieces("zstd", pieces);
      CHECK(decoded.corrupt);
      CHECK(decoded.text == "text");
    });
  }
  CHECK(!decode_text("zstd", wire + wire.substr(0, 1)).whole);
}

TEST_CASE("zstd: the formats before it are no content coding") {
  for (const char version : {'\x1E', '\x22', '\x23', '\x24', '\x25', '\x26', '\x27'}) {
    const std::string older = std::string(1, version) + "\xB5\x2F\xFD\x04\x32\x58\x54";
    CHECK(decode_text("zstd", older).corrupt);
    CHECK(decode_text("zstd", "\x28" + older).corrupt);
  }
}

TEST_CASE("zstd: a block larger than the room comes out before what is corrupt") {
  const std::string frame("\x28\xB5\x2F\xFD\0\x58", 6);
  const std::string block("\x02\0\x10x", 4);    // 128 KiB of "x"
  const std::string corrupt("\x06\0\0abc", 6);  // of a type that there is not
  for (const std::size_t room : {kRoom, std::size_t{1000}}) {
    const Decoded decoded = decode_pieces("zstd", {frame + block + corrupt}, room);
    CHECK(decoded.corrupt);
    CHECK(decoded.text == std::string(128 << 10, 'x'));
  }
}

TEST_CASE("zstd: windows of up to 8 MiB are taken, larger ones are corrupt") {
  const std::string text = prose(20 << 20);
  CHECK(decode_text("zstd", encoded(zstd_encoder(23), text)).is(text));
  const auto decoder = decoder_of("zstd");
  Decoded decoded;
  feed(*decoder, encoded(zstd_encoder(24), text), kRoom, decoded);
  CHECK(decoded.corrupt);
  CHECK(decoded.text.empty());
  CHECK(decoder->problem().find("memory") != std::string::npos);
}

TEST_CASE("zstd: takes at most 8.5 MiB, with the largest window") {
  if (under_sanitizer()) return;
  const std::string text = noise(20 << 20);
  const auto encoder = zstd_encoder(23);
  std::string wire = encoder(std::string_view(text).substr(0, 1), Push::flush);  // of unknown size
  wire += encoder(std::string_view(text).substr(1), Push::finish);
  const HeldBy held = held_by(decode::make_zstd, wire);
  CHECK(held.bytes == text.size());
  CHECK(held.most_heap > std::size_t{8} << 20);
  CHECK(held.most_heap < std::size_t{17} << 19);
  MESSAGE("zstd, 8 MiB window: ", held.most_heap, " bytes");
}

TEST_SUITE_END();
