#include "decode/codings.hpp"

#include <doctest/doctest.h>

#include <optional>

#include "decode/decoding.hpp"

using namespace weir;
using namespace weir::test;

namespace {

/// Why there is no decoder; nullopt if there is one.
std::optional<std::string> refusal(std::string_view codings) {
  std::string problem;
  if (decode::make_decoder(codings, problem)) return std::nullopt;
  return problem;
}

}  // namespace

TEST_SUITE_BEGIN("decode");

TEST_CASE("Codings: names are case-insensitive and may be alone, twice, or spaced") {
  for (const char* const codings :
       {"gzip", "GZip", "x-gzip", "deflate", "br", "zstd", " gzip ", ",gzip,,", "gzip\t,br",
        "identity, gzip", "br,identity,identity , zstd", "gzip, gzip"}) {
    CAPTURE(codings);
    CHECK(decode::is_encoded(codings));
    CHECK(!refusal(codings));
  }
  CHECK(decode_text("X-GZIP", encoded("gzip", "text")).is("text"));
}

TEST_CASE("Codings: no coding at all is none") {
  for (const char* const codings : {"", " ", ",", "identity", "IDENTITY", "identity, ,identity"}) {
    CAPTURE(codings);
    CHECK(!decode::is_encoded(codings));
  }
}

TEST_CASE("Codings: what is unknown, and a third one, is refused") {
  CHECK(refusal("compress") == "unknown coding compress");
  CHECK(refusal("gzip, utf-8") == "unknown coding utf-8");
  CHECK(refusal("gzip;q=1") == "unknown coding gzip;q=1");
  CHECK(refusal(std::string(10'000, 'x'))->size() < 100);
  CHECK(refusal("gzip, gzip, gzip") == "more than 2 codings");
  CHECK(refusal("gzip, br, identity, zstd") == "more than 2 codings");
  CHECK(decode::is_encoded("compress"));
}

TEST_CASE("Codings: all that Accept-Encoding offers is known") {
  std::string_view offered = decode::kAcceptEncoding;
  while (!offered.empty()) {
    const auto comma = std::min(offered.find(", "), offered.size());
    CHECK(!refusal(offered.substr(0, comma)));
    offered.remove_prefix(std::min(comma + 2, offered.size()));
  }
}

TEST_SUITE_END();
