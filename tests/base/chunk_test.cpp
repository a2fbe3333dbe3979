#include "weir/chunk.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <new>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/failing_new.hpp"
#include "support/size.hpp"
#include "support/sweep.hpp"

using weir::Bytes;
using weir::Chunk;
using weir::test::sized;

namespace {

std::string alphabet(std::size_t size) {
  std::string text;
  while (text.size() < size) text += static_cast<char>('a' + text.size() % 26);
  return text;
}

void assign(Chunk& to, const Chunk& from) { to = from; }
void move(Chunk& to, Chunk& from) { to = std::move(from); }

}  // namespace

TEST_SUITE_BEGIN("base");

TEST_CASE("Chunk: a new one is empty") {
  const Chunk chunk;
  CHECK(chunk.empty());
  CHECK(chunk.size() == 0);
  CHECK(chunk.bytes().empty());
  CHECK(chunk.text().empty());
  CHECK(Chunk(chunk).empty());
}

TEST_CASE("Chunk: copy_of has bytes of its own") {
  std::string text = "hello";
  const auto chunk = Chunk::copy_of(text);
  text = "other";
  CHECK(chunk.text() == "hello");
  CHECK(chunk.size() == 5);
  CHECK(chunk.bytes()[4] == std::byte{'o'});
  const auto bytes = Chunk::copy_of(Bytes(chunk.bytes()));
  CHECK(bytes.text() == "hello");
  CHECK(bytes.bytes().data() != chunk.bytes().data());
}

TEST_CASE("Chunk: copy_of keeps NUL and bytes that are no text") {
  const std::string text("\0\xff\r\n\0", 5);
  CHECK(Chunk::copy_of(text).text() == text);
}

TEST_CASE("Chunk: copy_of nothing takes no memory") {
  CHECK(weir::test::fail_each_allocation([](int) {
          (void)Chunk::copy_of(std::string_view());
          (void)Chunk::copy_of(Bytes());
        }) == 0);
  CHECK(Chunk::copy_of("").bytes().data() == nullptr);
}

TEST_CASE("Chunk: copy_of takes one allocation, and reports when it fails" *
          doctest::skip(!weir::test::kCanFailNew)) {
  const auto text = alphabet(10'000);
  CHECK(weir::test::fail_each_allocation([&](int) { (void)Chunk::copy_of(text); }) == 1);
}

TEST_CASE("Chunk: copies and slices share the memory and allocate nothing") {
  const auto chunk = Chunk::copy_of("hello world");
  Chunk copy;
  Chunk slice;
  CHECK(weir::test::fail_each_allocation([&](int) {
          copy = chunk;
          slice = copy.slice(6);
        }) == 0);
  CHECK(copy.bytes().data() == chunk.bytes().data());
  CHECK(slice.bytes().data() == chunk.bytes().data() + 6);
  CHECK(slice.text() == "world");
}

TEST_CASE("Chunk: copying and moving never throw") {
  static_assert(std::is_nothrow_copy_constructible_v<Chunk>);
  static_assert(std::is_nothrow_move_constructible_v<Chunk>);
  static_assert(noexcept(std::declval<const Chunk&>().slice(0)));
  auto first = Chunk::copy_of("first");
  Chunk second(std::move(first));
  CHECK(first.empty());
  CHECK(second.text() == "first");
  first = std::move(second);
  CHECK(second.empty());
  CHECK(first.text() == "first");
}

TEST_CASE("Chunk: assigned or moved to itself stays as it is") {
  auto chunk = Chunk::copy_of("itself");
  assign(chunk, chunk);
  CHECK(chunk.text() == "itself");
  move(chunk, chunk);
  CHECK(chunk.text() == "itself");
  chunk = chunk.slice(2);
  CHECK(chunk.text() == "self");
}

TEST_CASE("Chunk: slice is cut at the end") {
  constexpr auto kMax = std::numeric_limits<std::size_t>::max();
  const auto chunk = Chunk::copy_of("0123456789");
  CHECK(chunk.slice(0).text() == "0123456789");
  CHECK(chunk.slice(3, 4).text() == "3456");
  CHECK(chunk.slice(8, 4).text() == "89");
  CHECK(chunk.slice(8, kMax).text() == "89");
  CHECK(chunk.slice(10).empty());
  CHECK(chunk.slice(11, 1).empty());
  CHECK(chunk.slice(kMax, kMax).empty());
  CHECK(chunk.slice(4, 0).empty());
  CHECK(chunk.slice(4, 0).bytes().data() == nullptr);
  CHECK(Chunk().slice(0, 5).empty());
}

TEST_CASE("Chunk: a slice outlives what it was cut from") {
  auto chunk = Chunk::copy_of(alphabet(100'000));
  auto part = chunk.slice(26, 26).slice(1, 3);
  chunk = {};
  CHECK(part.text() == "bcd");
}

TEST_CASE("Chunk: slices of any size put together are the whole") {
  const auto text = alphabet(100);
  const auto chunk = Chunk::copy_of(text);
  weir::test::sweep(text, [&](const std::vector<std::string_view>& pieces) {
    std::string joined;
    std::size_t at = 0;
    for (const auto piece : pieces) {
      const auto slice = chunk.slice(at, piece.size());
      CHECK(slice.text() == piece);
      joined += slice.text();
      at += slice.size();
    }
    CHECK(joined == text);
  });
}

TEST_CASE("Chunk: threads that share memory read the same bytes, and the last one frees it") {
  const int rounds = sized(2'000, 20'000, 200'000);
  constexpr std::size_t kThreads = 4;
  const auto text = alphabet(4'096);
  auto whole = Chunk::copy_of(text);
  std::vector<int> good(kThreads);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&good, &text, t, rounds, mine = whole]() mutable {
      std::vector<Chunk> kept(8);
      int same = 0;
      for (int round = 0; round < rounds; ++round) {
        const auto at = (static_cast<std::size_t>(round) * 37 + t) % text.size();
        auto& place = kept[static_cast<std::size_t>(round) % kept.size()];
        place = mine.slice(at, 16);
        same += place.text() == std::string_view(text).substr(at, 16);
      }
      mine = {};  // the slices kept hold the memory from here on
      const auto held = [](const Chunk& chunk) { return chunk.size() > 0; };
      good[t] = std::all_of(kept.begin(), kept.end(), held) ? same : -1;
    });
  }
  whole = {};
  for (auto& thread : threads) thread.join();
  for (const int same : good) CHECK(same == rounds);
}

TEST_SUITE_END();
