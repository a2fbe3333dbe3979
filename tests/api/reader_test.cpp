#include "weir/reader.hpp"

#include <doctest/doctest.h>

#include <array>
#include <future>
#include <iterator>
#include <memory>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "api/scripted_stream.hpp"
#include "base/slab.hpp"
#include "support/sweep.hpp"

using namespace weir;
using namespace weir::test;
using Then = ScriptedStream::Then;

namespace {

static_assert(!std::is_copy_constructible_v<Reader> && !std::is_copy_assignable_v<Reader>);
static_assert(std::is_nothrow_move_constructible_v<Reader>);
static_assert(std::is_nothrow_move_assignable_v<Reader>);
static_assert(std::input_iterator<Reader::Iterator>);
static_assert(std::sentinel_for<std::default_sentinel_t, Reader::Iterator>);
static_assert(std::ranges::input_range<Reader>);

constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";

ScriptedBody in_pieces(const std::vector<std::string_view>& pieces, Then then = Then::end) {
  return ScriptedBody({pieces.begin(), pieces.end()}, then);
}

std::optional<errc> read_code(Reader& reader) {
  return code_of([&] { reader.read(); });
}

/// The errors of every form of read, which must be one and the same.
std::optional<errc> code_of_all_forms(Reader& reader) {
  std::array<std::byte, 4> out{};
  const auto code = read_code(reader);
  CHECK(code_of([&] { reader.try_read(); }) == code);
  CHECK(code_of([&] { reader.read_some(out); }) == code);
  CHECK(code_of([&] { reader.read_exactly(out); }) == code);
  CHECK(code_of([&] { reader.begin(); }) == code);
  return code;
}

/// A Stream whose chunks come from a pool, so that it can see how many are alive.
class PooledStream final : public detail::ReadyStream {
 public:
  explicit PooledStream(std::vector<std::size_t>& free_before) : free_before_(free_before) {}
  ~PooledStream() override { pool_->release(); }

  ReadResult pull(std::size_t, const flow::Wait&) override {
    free_before_.push_back(pool_->retained());
    if (free_before_.size() > 3) return {.status = ReadStatus::end};
    detail::Slab* const slab = pool_->acquire(1);
    slab->data()[0] = std::byte{'x'};
    slab->committed.store(1);
    Chunk chunk = slab->chunk(0, 1);
    slab->release();
    return {.status = ReadStatus::data, .chunk = std::move(chunk)};
  }
  void cancel() noexcept override {}
  BodyStats stats() const noexcept override { return {}; }
  std::optional<std::uint64_t> length() const noexcept override { return std::nullopt; }

 private:
  detail::SlabPool* const pool_ = detail::SlabPool::create();
  std::vector<std::size_t>& free_before_;  // bytes free in the pool at each pull
};

}  // namespace

TEST_SUITE("api") {
  TEST_CASE("Reader: read() brings what there is, in order, and then the end for ever") {
    sweep(kAlphabet, [](const auto& pieces) {
      Reader reader = in_pieces(pieces).reader();
      for (const auto piece : pieces) {
        const auto chunk = reader.read();
        REQUIRE(chunk);
        CHECK(chunk->text() == piece);
      }
      CHECK(!reader.read());
      CHECK(!reader.read());
    });
  }

  TEST_CASE("Reader: try_read() never waits, and tells nothing yet from the end") {
    SUBCASE("nothing yet") {
      Reader reader = ScriptedBody({"ab"}, Then::hang).reader();
      const auto first = reader.try_read();
      CHECK(first);
      CHECK(first.status == ReadStatus::data);
      CHECK(first.chunk.text() == "ab");
      for (int again = 0; again < 3; ++again) {
        const auto none = reader.try_read();
        CHECK(!none);
        CHECK(none.status == ReadStatus::pending);
        CHECK(none.chunk.empty());
      }
    }
    SUBCASE("the end") {
      Reader reader = ScriptedBody({}).reader();
      CHECK(reader.try_read().status == ReadStatus::end);
      CHECK(reader.try_read().status == ReadStatus::end);
    }
  }

  TEST_CASE("Reader: read_some() copies what there is, and never more than fits") {
    for (const std::size_t size : {1U, 2U, 3U, 7U, 8U, 36U, 40U}) {
      CAPTURE(size);
      sweep(kAlphabet, [size](const auto& pieces) {
        auto source = in_pieces(pieces);
        Reader reader = source.reader();
        std::vector<std::byte> out(size);
        std::string all;
        while (const auto count = reader.read_some(out)) {
          REQUIRE(count <= size);
          all += as_string(Bytes(out).first(count));
        }
        CHECK(all == kAlphabet);
        CHECK(reader.read_some(out) == 0);
        for (const auto asked : source.log->asked) CHECK(asked == size);
      });
    }
  }

  TEST_CASE("Reader: read_some() into nothing reads nothing") {
    ScriptedBody source({"ab"});
    Reader reader = source.reader();
    CHECK(reader.read_some({}) == 0);
    CHECK(source.log->asked.empty());
    CHECK(reader.read()->text() == "ab");
  }

  TEST_CASE("Reader: read_exactly() fills its span, and is short only at the end") {
    for (const std::size_t size : {1U, 2U, 5U, 16U, 35U, 36U, 37U, 100U}) {
      CAPTURE(size);
      sweep(kAlphabet, [size](const auto& pieces) {
        Reader reader = in_pieces(pieces).reader();
        std::vector<std::byte> out(size);
        std::string all;
        for (;;) {
          const auto count = reader.read_exactly(out);
          all += as_string(Bytes(out).first(count));
          if (count < size) break;
        }
        CHECK(all == kAlphabet);
        CHECK(reader.read_exactly(out) == 0);
        CHECK(reader.read_exactly({}) == 0);
      });
    }
  }

  TEST_CASE("Reader: the forms of reading can be mixed") {
    sweep(kAlphabet, [](const auto& pieces) {
      Reader reader = in_pieces(pieces).reader();
      std::string all;
      std::array<std::byte, 3> out{};
      all += reader.read()->text();
      all += as_string(Bytes(out).first(reader.read_some(out)));
      all += as_string(Bytes(out).first(reader.read_exactly(out)));
      all += reader.try_read().chunk.text();
      for (const Chunk& chunk : reader) all += chunk.text();
      CHECK(all == kAlphabet);
    });
  }

  TEST_CASE("Reader: a failure follows the bytes before it, and is the same for ever") {
    sweep(kAlphabet, [](const auto& pieces) {
      Reader reader = in_pieces(pieces, Then::fail).reader();
      std::string all;
      for (std::size_t count = 0; count < pieces.size(); ++count) all += reader.read()->text();
      CHECK(all == kAlphabet);
      CHECK(code_of_all_forms(reader) == errc::truncated);
      CHECK(code_of_all_forms(reader) == errc::truncated);
    });
  }

  TEST_CASE("Reader: read_exactly() throws when the body fails on the way") {
    Reader reader = ScriptedBody({"abc"}, Then::fail).reader();
    std::array<std::byte, 9> out{};
    CHECK(code_of([&] { reader.read_exactly(out); }) == errc::truncated);
    CHECK(as_string(Bytes(out).first(3)) == "abc");
  }

  TEST_CASE("Reader: a range-for reads to the end, and throws as read() does") {
    std::string all;
    SUBCASE("the end") {
      for (const Chunk& chunk : ScriptedBody({"ab", "c"}).reader()) all += chunk.text();
      CHECK(all == "abc");
    }
    SUBCASE("an empty body") {
      for (const Chunk& chunk : ScriptedBody({}).reader()) all += chunk.text();
      CHECK(all.empty());
    }
    SUBCASE("a failure") {
      const auto code = code_of([&] {
        for (const Chunk& chunk : ScriptedBody({"ab", "c"}, Then::fail).reader())
          all += chunk.text();
      });
      CHECK(code == errc::truncated);
      CHECK(all == "abc");
    }
    SUBCASE("the rest after a break") {
      Reader reader = ScriptedBody({"ab", "c", "d"}).reader();
      for (const Chunk& chunk : reader) {
        all += chunk.text();
        break;
      }
      all += "|";
      for (auto it = reader.begin(); it != reader.end(); it++) all += it->text();
      CHECK(all == "ab|cd");
    }
  }

  TEST_CASE("Reader: each step of a range-for lets go of the Chunk before") {
    std::vector<std::size_t> free_before;
    for (const Chunk& chunk : Reader(std::make_unique<PooledStream>(free_before))) {
      CHECK(chunk.text() == "x");
    }
    const auto slab = detail::Slab::kSmallest + sizeof(detail::Slab);
    CHECK(free_before == std::vector<std::size_t>{0, slab, slab, slab});
  }

  TEST_CASE("Reader: cancel() from another thread ends a read that waits") {
    ScriptedBody source({"ab"}, Then::hang);
    ScriptedStream& stream = *source.stream;
    Reader reader = source.reader();
    CHECK(reader.read()->text() == "ab");
    auto code = std::async(std::launch::async, [&] { return read_code(reader); });
    stream.wait_until_waiting();
    reader.cancel();
    CHECK(code.get() == errc::aborted);
    CHECK(code_of_all_forms(reader) == errc::aborted);
    reader.cancel();
    CHECK(code_of_all_forms(reader) == errc::aborted);
  }

  TEST_CASE("Reader: trailers and figures are the stream's") {
    ScriptedBody source({"abc", "d"});
    source.stream->trailer = {{"Checksum", "1"}};
    Reader reader = source.reader();
    reader.read();
    CHECK(reader.stats().received == 3);
    CHECK(reader.stats().drained == 3);
    reader.read();
    CHECK(reader.stats().drained == 4);
    CHECK(reader.trailers() == Headers{{"Checksum", "1"}});
  }

  TEST_CASE("Reader: one that was moved from throws body_used and does not crash") {
    Reader from = ScriptedBody({"ab"}).reader();
    Reader to = std::move(from);
    CHECK(code_of_all_forms(from) == errc::body_used);  // NOLINT: that is the point
    CHECK(from.stats().received == 0);
    CHECK(from.trailers().empty());
    from.cancel();
    CHECK(to.read()->text() == "ab");
    from = std::move(to);
    CHECK(!from.read());
    CHECK(code_of_all_forms(to) == errc::body_used);  // NOLINT
  }

  TEST_CASE("Reader: its stream goes with it, or when another is assigned") {
    ScriptedBody first({"ab"});
    ScriptedBody second({"cd"});
    {
      Reader reader = first.reader();
      reader = second.reader();
      CHECK(first.log->destroyed);
      CHECK(!second.log->destroyed);
      CHECK(reader.read()->text() == "cd");
    }
    CHECK(second.log->destroyed);
  }
}
