// One stream, in all kinds of pieces, with limits that its first byte chooses: it must mean the
// same in each, and without limits what the standard's steps make of it.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string_view>

#include "sse/chunkings.hpp"

using namespace weir;

namespace {

constexpr std::size_t kMost = 1024;  // bytes: every cut in two is tried

SseLimits limits_of(std::uint8_t choice) {
  if (choice % 4 != 0) return {};
  const std::size_t size = 1 + choice / 4;
  return {.line = size, .event = size / 2, .id = size / 8};
}

[[noreturn]] void fail(const char* why) {
  std::fprintf(stderr, "%s\n", why);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > kMost) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const SseLimits limits = limits_of(data[0]);
  std::mt19937 random(data[0]);
  if (!test::disagreement(stream, limits, random).empty()) fail("the pieces make a difference");
  if (limits.line > kMost && test::parse({stream}) != test::ByTheBook::parse(stream)) {
    fail("not what the standard says");
  }
  return 0;
}
