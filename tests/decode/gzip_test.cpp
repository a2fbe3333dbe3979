#include <doctest/doctest.h>

#include "decode/decoding.hpp"
#include "support/memory.hpp"
#include "support/size.hpp"

using namespace weir;
using namespace weir::test;

TEST_SUITE_BEGIN("decode");

TEST_CASE("gzip: members follow one another, empty ones too") {
  const std::string text = prose(1000);
  const std::string wire = encoded("gzip", text) + encoded("gzip", "") + encoded("gzip", text);
  sweep(wire, [&](const auto& pieces) {
    CHECK(decode_pieces("gzip", pieces).is(text + text));
    CHECK(decode_pieces("gzip", pieces, 1000).is(text + text));  // the room ends with a member
  });
}

TEST_CASE("gzip: a second member that is cut, or broken, is not ignored") {
  const std::string first = encoded("gzip", "first");
  const std::string wire = first + encoded("gzip", "second");
  for (std::size_t size = first.size() + 1; size < wire.size(); ++size) {
    CAPTURE(size);
    const Decoded decoded = decode_text("gzip", wire.substr(0, size));
    CHECK(!decoded.whole);
    CHECK(!decoded.corrupt);
    CHECK(decoded.text.starts_with("first"));
  }
  const Decoded broken =
      decode_text("gzip", first + std::string("\x1F\x8B\x07\0", 4));  // no such method
  CHECK(broken.corrupt);
  CHECK(broken.text == "first");
}

TEST_CASE("gzip, deflate: what follows the end is ignored") {
  for (const std::string_view coding : {"gzip", "deflate", "raw deflate"}) {
    CAPTURE(coding);
    const std::string wire = encoded(coding, "text");
    for (const std::string& garbage :
         {std::string(1, '\0'), std::string(100'000, '\0'), std::string("\x1Fgarbage"),
          std::string("garbage\x1F\x8B")}) {
      sweep(wire + garbage,
            [&](const auto& pieces) { CHECK(decode_pieces(coding, pieces).is("text")); });
    }
  }
}

TEST_CASE("gzip: header fields of every kind are passed over") {
  const std::string member = encoded("gzip", "text");
  const std::string head("\x1F\x8B\x08\x1C\0\0\0\0\0\x03", 10);  // extra, name, comment
  const std::string wire = head + std::string("\x03\0abc", 5) + std::string("name\0", 5) +
                           std::string("comment\0", 8) + member.substr(10);
  sweep(wire, [](const auto& pieces) { CHECK(decode_pieces("gzip", pieces).is("text")); });
}

TEST_CASE("gzip: neither plain text nor deflate passes for it") {
  for (const std::string& wire : {std::string("<!doctype html>"), encoded("deflate", "text"),
                                  encoded("raw deflate", "text"), std::string(1, '\0')}) {
    const Decoded decoded = decode_text("gzip", wire);
    CHECK(!decoded.whole);
    CHECK(decoded.text.empty());
  }
  CHECK(decode_text("deflate", encoded("gzip", "text")).corrupt);
}

TEST_CASE("gzip: a wrong checksum or length comes after the bytes") {
  std::string wire = encoded("gzip", "text");
  for (std::size_t at = wire.size() - 8; at < wire.size(); ++at) {
    std::string wrong = wire;
    wrong[at] = static_cast<char>(wrong[at] + 1);
    const auto decoder = decoder_of("gzip");
    Decoded decoded;
    feed(*decoder, wrong, kRoom, decoded);
    CHECK(decoded.corrupt);
    CHECK(decoded.text == "text");
    CHECK(decoder->problem().starts_with("incorrect "));
  }
}

TEST_CASE("deflate: data that needs a dictionary is corrupt") {
  const auto decoder = decoder_of("deflate");
  Decoded decoded;
  feed(*decoder, std::string("\x78\xBB\x01\x02\x03\x04zzz", 9), kRoom, decoded);
  CHECK(decoded.corrupt);
  CHECK(decoder->problem() == "it needs a dictionary");
}

TEST_CASE("gzip: takes at most 48 KiB") {
  if (under_sanitizer()) return;
  const std::string text = noise(1 << 20);
  const std::string wire = encoded("gzip", text);
  std::vector<std::byte> out(kRoom);
  const std::size_t before = heap_in_use();
  const auto decoder = decode::make_gzip();
  for (const auto piece : cut(wire, 10'000)) {
    CHECK(decoder->step(as_bytes(piece), out).status == Decoder::Status::input);
    REQUIRE(heap_in_use() - before < 48 * 1024);
  }
}

TEST_SUITE_END();
