#include "weir/generator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/chunk.hpp"

using weir::Chunk;
using weir::Generator;

namespace {

static_assert(!std::is_copy_constructible_v<Generator<int>>);
static_assert(std::is_nothrow_move_constructible_v<Generator<int>>);
static_assert(std::is_nothrow_move_assignable_v<Generator<int>>);

/// Counts what was made and destroyed.
struct Guard {
  explicit Guard(int& count) : destroyed(count) {}
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard() { ++destroyed; }
  int& destroyed;
};

struct Trace {
  std::vector<std::string> steps;
  int destroyed = 0;
};

Generator<int> traced(Trace& trace, int last) {
  const Guard guard(trace.destroyed);
  trace.steps.emplace_back("begin");
  for (int i = 1; i <= last; ++i) {
    co_yield i;
    trace.steps.push_back("after " + std::to_string(i));
  }
}

Generator<std::string> failing(Trace& trace, int after) {
  const Guard guard(trace.destroyed);
  for (int i = 0; i < after; ++i) co_yield std::to_string(i);
  throw std::runtime_error("no more");
}

Generator<std::unique_ptr<int>> owned(std::unique_ptr<int> first) {
  co_yield std::move(first);
  co_yield std::make_unique<int>(2);
}

Generator<Chunk> lines(std::string text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    co_yield Chunk::copy_of(std::string_view(text).substr(at, end - at));
    at = end + 1;
  }
}

}  // namespace

TEST_SUITE_BEGIN("api");

TEST_CASE("Generator: runs to the next value when asked, and no further") {
  Trace trace;
  auto numbers = traced(trace, 2);
  CHECK(trace.steps.empty());
  CHECK(numbers.next() == 1);
  CHECK(trace.steps == std::vector<std::string>{"begin"});
  CHECK(numbers.next() == 2);
  CHECK(trace.steps.back() == "after 1");
  CHECK(!numbers.next());
  CHECK(trace.steps.back() == "after 2");
  CHECK(trace.destroyed == 1);
  CHECK(!numbers.next());
  CHECK(trace.destroyed == 1);
}

TEST_CASE("Generator: destroying it at any point destroys what it holds, once") {
  for (int asked = 0; asked <= 4; ++asked) {
    CAPTURE(asked);
    Trace trace;
    {
      auto numbers = traced(trace, 3);
      for (int i = 0; i < asked; ++i) numbers.next();
      CHECK(trace.destroyed == (asked == 4 ? 1 : 0));
    }
    CHECK(trace.destroyed == (asked == 0 ? 0 : 1));
  }
}

TEST_CASE("Generator: an argument that was moved into it is destroyed though it never ran") {
  const auto shared = std::make_shared<int>(1);
  const auto hold = [](std::shared_ptr<int> held) -> Generator<int> { co_yield *held; };
  {
    auto unasked = hold(shared);
    CHECK(shared.use_count() == 2);
  }
  CHECK(shared.use_count() == 1);
  {
    auto asked = hold(shared);
    CHECK(asked.next() == 1);
    CHECK(!asked.next());
    CHECK(shared.use_count() == 1);
  }
}

TEST_CASE("Generator: an exception passes through and ends it") {
  for (const int after : {0, 1, 2}) {
    CAPTURE(after);
    Trace trace;
    auto texts = failing(trace, after);
    for (int i = 0; i < after; ++i) CHECK(texts.next() == std::to_string(i));
    CHECK_THROWS_WITH_AS(texts.next(), "no more", std::runtime_error);
    CHECK(trace.destroyed == 1);
    CHECK(!texts.next());
  }
}

TEST_CASE("Generator: takes values that can only be moved") {
  auto values = owned(std::make_unique<int>(1));
  CHECK(*values.next().value() == 1);
  CHECK(*values.next().value() == 2);
  CHECK(!values.next());
}

TEST_CASE("Generator: moving it moves the sequence, and assignment ends the one before") {
  Trace first;
  Trace second;
  auto numbers = traced(first, 3);
  numbers.next();
  auto moved = std::move(numbers);
  CHECK(!numbers.next());
  CHECK(moved.next() == 2);
  moved = traced(second, 3);
  CHECK(first.destroyed == 1);
  CHECK(moved.next() == 1);
  CHECK(!Generator<int>().next());
}

TEST_CASE("Generator: makes Chunks") {
  auto chunks = lines("one\ntwo\n");
  CHECK(chunks.next()->text() == "one");
  CHECK(chunks.next()->text() == "two");
  CHECK(!chunks.next());
}

TEST_SUITE_END();
