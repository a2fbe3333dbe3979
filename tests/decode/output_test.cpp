#include "decode/output.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "support/memory.hpp"
#include "support/size.hpp"

using namespace weir;
using namespace weir::test;
using decode::Output;

namespace {

Chunk put(Output& output, std::size_t count, int value) {
  const auto room = output.room();
  count = std::min(count, room.size());
  std::memset(room.data(), value, count);
  return output.commit(count);
}

bool is_all(const Chunk& chunk, int value) {
  return std::all_of(chunk.bytes().begin(), chunk.bytes().end(),
                     [value](std::byte byte) { return byte == std::byte(value); });
}

}  // namespace

TEST_SUITE_BEGIN("decode");

TEST_CASE("Output: small pieces share a slab, and keep their bytes") {
  Output output;
  std::vector<Chunk> chunks;
  for (int i = 0; i < 100; ++i) chunks.push_back(put(output, 100, i));
  for (int i = 0; i < 100; ++i) {
    CHECK(chunks[static_cast<std::size_t>(i)].size() == 100);
    CHECK(is_all(chunks[static_cast<std::size_t>(i)], i));
  }
  CHECK(chunks[0].bytes().data() + 100 == chunks[1].bytes().data());
}

TEST_CASE("Output: slabs grow to 64 KiB where they are filled at once, and no further") {
  Output output;
  CHECK(put(output, 1'000'000, 1).size() == 4 * 1024);
  CHECK(put(output, 1'000'000, 2).size() == 16 * 1024);
  for (int i = 0; i < 5; ++i) CHECK(put(output, 1'000'000, 3).size() == 64 * 1024);
}

TEST_CASE("Output: there is always room for 1 KiB, and Chunks outlive it") {
  std::vector<Chunk> chunks;
  {
    Output output;
    for (int i = 0; i < 50; ++i) {
      CHECK(output.room().size() >= 1024);
      chunks.push_back(put(output, 700, i));
    }
    output.release();
    CHECK(output.room().size() == 4 * 1024);
  }
  for (int i = 0; i < 50; ++i) CHECK(is_all(chunks[static_cast<std::size_t>(i)], i));
}

TEST_CASE("Output: keeps little of what was handed out once, however much that was" *
          doctest::skip(under_sanitizer())) {
  const std::size_t before = heap_in_use();
  std::vector<std::unique_ptr<Output>> outputs;
  for (int i = 0; i < 20; ++i) {
    Output& output = *outputs.emplace_back(std::make_unique<Output>());
    std::vector<Chunk> chunks;
    for (int k = 0; k < 70; ++k) chunks.push_back(put(output, 1'000'000, k));
  }
  CHECK(heap_in_use() - before < 20 * (Output::kRetained + 64 * 1024 + 2 * 1024));
}

TEST_SUITE_END();
