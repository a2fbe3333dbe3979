#include "harness/encoder.hpp"

#include <doctest/doctest.h>

#include <string>

#include "decode/codings.hpp"

using namespace weir;
using harness::Encoder;

namespace {

std::string decoded(std::string_view coding, std::string_view wire) {
  std::string problem;
  const auto decoder = decode::make_decoder(coding, problem);
  std::string out(100'000, '\0');
  const auto step =
      decoder->step(std::as_bytes(std::span(wire)), std::as_writable_bytes(std::span(out)));
  out.resize(step.produced);
  return out;
}

}  // namespace

TEST_SUITE("harness") {
  TEST_CASE("Encoder: what it makes can be decoded, at each flush and at the end") {
    for (const std::string_view name : {"gzip", "deflate", "raw_deflate", "br", "zstd"}) {
      CAPTURE(name);
      const auto encoder = harness::make_encoder(name);
      const std::string_view coding = name == "raw_deflate" ? "deflate" : name;
      std::string wire;
      encoder->add("first, ", Encoder::Push::data, wire);
      encoder->add("second, ", Encoder::Push::flush, wire);
      CHECK(decoded(coding, wire) == "first, second, ");
      encoder->add("third", Encoder::Push::finish, wire);
      CHECK(decoded(coding, wire) == "first, second, third");
    }
  }

  TEST_CASE("Encoder: there is none by another name") {
    CHECK(harness::make_encoder("compress") == nullptr);
    CHECK(harness::make_encoder("") == nullptr);
  }
}
