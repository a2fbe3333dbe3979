#include "harness/pattern.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <set>
#include <vector>

using weir::harness::PatternWindow;
using weir::harness::Sha256;
namespace pattern = weir::harness::pattern;

namespace {

constexpr std::uint64_t kFar = (std::uint64_t{1} << 63) - 100;

std::vector<std::byte> bytes_at(std::uint64_t seed, std::uint64_t offset, std::size_t size) {
  std::vector<std::byte> out(size);
  pattern::fill(seed, offset, out);
  return out;
}

}  // namespace

TEST_SUITE("harness") {
  TEST_CASE("pattern: every range equals the same range of the whole") {
    for (const std::uint64_t start : {std::uint64_t{0}, std::uint64_t{4093}, kFar}) {
      CAPTURE(start);
      const auto whole = bytes_at(7, start, 64);
      for (std::size_t from = 0; from < whole.size(); ++from) {
        for (std::size_t size = 0; from + size <= whole.size(); ++size) {
          const auto part = bytes_at(7, start + from, size);
          REQUIRE(std::equal(part.begin(), part.end(), whole.begin() + static_cast<long>(from)));
          REQUIRE_FALSE(pattern::check(7, start + from, std::span(whole).subspan(from, size)));
        }
      }
    }
  }

  TEST_CASE("pattern: a single wrong byte is found where it is") {
    auto bytes = bytes_at(3, 1001, 9000);
    for (std::size_t at = 0; at < bytes.size(); at += 13) {
      bytes[at] ^= std::byte{1};
      REQUIRE(pattern::check(3, 1001, bytes) == 1001 + at);
      bytes[at] ^= std::byte{1};
    }
    CHECK_FALSE(pattern::check(3, 1001, bytes));
  }

  TEST_CASE("pattern: bytes from any other place are found within a few bytes") {
    const auto bytes = bytes_at(0, 1 << 20, 4096);
    for (const unsigned shift : {1U, 7U, 8U, 16U, 4096U, 65536U, 131072U, 1U << 20}) {
      CAPTURE(shift);
      const auto wrong = pattern::check(0, (1 << 20) + shift, bytes);
      REQUIRE(wrong);
      CHECK(*wrong - (1 << 20) - shift < 8);
    }
  }

  TEST_CASE("pattern: words do not repeat, and seeds differ") {
    std::set<std::uint64_t> seen;
    for (const unsigned seed : {0U, 1U, 2U}) {
      const auto bytes = bytes_at(seed, 0, 8 * 20'000);
      for (std::size_t i = 0; i < bytes.size(); i += 8) {
        std::uint64_t word;
        std::memcpy(&word, &bytes[i], sizeof word);
        seen.insert(word);
      }
    }
    CHECK(seen.size() == 60'000);
  }

  TEST_CASE("pattern: the digest of a range is that of its bytes") {
    const auto bytes = bytes_at(5, 12'345, 50'001);
    Sha256 digest;
    digest.update(std::span(bytes).first(17));
    digest.update(std::span(bytes).subspan(17));
    CHECK(digest.hex() == pattern::sha256(5, 12'345, bytes.size()));
    digest.update(std::as_bytes(std::span("abc", 3)));
    CHECK(digest.hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  }

  TEST_CASE("PatternWindow: gives the right bytes wherever it was before") {
    PatternWindow window;
    const std::array<std::uint64_t, 9> offsets = {0, 100, 4095, 4096, 1 << 20, 131'071, 0, kFar, 5};
    for (const unsigned seed : {1U, 2U}) {
      for (const std::uint64_t offset : offsets) {
        for (const unsigned most : {1U, 4096U, 70000U, 1U << 20}) {
          const auto bytes = window.at(seed, offset, most);
          REQUIRE_FALSE(bytes.empty());
          REQUIRE(bytes.size() <= most);
          REQUIRE_FALSE(pattern::check(seed, offset, bytes));
        }
      }
    }
  }
}
