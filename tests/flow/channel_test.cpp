#include "flow/channel.hpp"

#include <doctest/doctest.h>

#include <new>
#include <string>

#include "flow/flow_fixture.hpp"
#include "support/sweep.hpp"

using namespace weir;
using namespace weir::test;
using flow::Channel;
using flow::Wait;
using flow::Watermarks;

namespace {

constexpr Watermarks kSmall{.high = 1000, .low = 250, .unread_high = 100};

std::string bytes(std::size_t count, char of = 'x') { return std::string(count, of); }

/// A body whose first read has happened, so that `high` is in force.
std::unique_ptr<FakeSource> reading(Flow& flow, Watermarks marks) {
  auto source = flow.source(marks);
  CHECK(try_take(source->channel()).status == ReadStatus::pending);
  return source;
}

}  // namespace

TEST_SUITE_BEGIN("flow");

TEST_CASE("Channel: bytes come out in order at every fragment size") {
  const std::string text = "The quick brown fox jumps over the lazy dog, twice over the lake.";
  sweep(text, [&](const auto& pieces) {
    for (const std::size_t max : {std::size_t{1}, std::size_t{3}, std::size_t{64}}) {
      CAPTURE(max);
      Flow flow;
      const auto source = flow.source();
      std::string got;
      for (const auto piece : pieces) {
        CHECK(source->send(piece) == Offer::accepted);
        const ReadResult one = try_take(source->channel(), max);
        CHECK(one.chunk.size() <= max);
        got += one.chunk.text();
      }
      source->end();
      got += drain(source->channel());
      CHECK(got == text);
      CHECK(try_take(source->channel()).status == ReadStatus::end);
    }
  });
}

TEST_CASE("Channel: a read never waits to fill, and gives pending, data or end") {
  Flow flow;
  const auto source = flow.source();
  CHECK(try_take(source->channel()).status == ReadStatus::pending);
  source->send("ab");
  const ReadResult data = try_take(source->channel());
  CHECK(data.status == ReadStatus::data);
  CHECK(data.chunk.text() == "ab");
  CHECK(try_take(source->channel()).status == ReadStatus::pending);
  source->end();
  CHECK(try_take(source->channel()).status == ReadStatus::end);
  CHECK(try_take(source->channel()).status == ReadStatus::end);
}

TEST_CASE("Channel: the high mark pauses and the bytes at it are refused whole") {
  Flow flow;
  const auto source = reading(flow, kSmall);
  CHECK(source->send(bytes(999)) == Offer::accepted);
  CHECK(source->send(bytes(5000)) == Offer::accepted);  // below the mark: one more write
  CHECK(source->send("y") == Offer::paused);
  CHECK(source->paused());
  const BodyStats stats = source->channel().stats();
  CHECK(stats.received == 5999);
  CHECK(stats.queued == 5999);
  CHECK(stats.peak_queued == 5999);
  CHECK(stats.paused);
  CHECK(stats.pauses == 1);
  CHECK(stats.resumes == 0);
  flow.check_counters(1);
}

TEST_CASE("Channel: crossing the low mark resumes once, and not before") {
  Flow flow;
  const auto source = reading(flow, kSmall);
  source->send(bytes(1000));
  CHECK(source->send(bytes(10, 'y')) == Offer::paused);

  CHECK(drain(source->channel(), 750).size() == 750);  // 250 left: not below low
  flow.hub->run_until_idle();
  CHECK(source->resumed() == 0);
  CHECK(flow.hub->rings() == 0);

  CHECK(drain(source->channel(), 1).size() == 1);
  CHECK(flow.hub->rings() == 1);
  CHECK(source->resumed() == 0);  // only from the top of the loop
  flow.hub->run_until_idle();
  CHECK(source->resumed() == 1);
  CHECK_FALSE(source->paused());
  CHECK(source->held() == 0);  // delivered while resuming
  CHECK(source->channel().stats().resumes == 1);
  flow.check_counters(0);
  CHECK(drain(source->channel()) == bytes(249) + bytes(10, 'y'));
}

TEST_CASE("Channel: marks as small as one byte make progress byte by byte") {
  for (const Watermarks marks : {Watermarks{1, 1, 1}, Watermarks{2, 1, 1}, Watermarks{3, 1, 2}}) {
    CAPTURE(marks.high);
    Flow flow;
    const auto source = flow.source(marks);
    for (char c = 'a'; c <= 'z'; ++c) source->send(std::string(1, c));
    source->end();
    CHECK(source->held() >= 23);
    std::string got;
    for (int turns = 0; turns < 100; ++turns) {
      const ReadResult one = try_take(source->channel(), 1);
      if (one.status == ReadStatus::end) break;
      got += one.chunk.text();
      CHECK(source->channel().stats().queued <= marks.high);
      flow.hub->run_until_idle();
    }
    CHECK(got == "abcdefghijklmnopqrstuvwxyz");
    CHECK(try_take(source->channel()).status == ReadStatus::end);
    flow.check_counters(0);
  }
}

TEST_CASE("Channel: a high mark below one write holds one write") {
  Flow flow;
  const auto source = reading(flow, {.high = 100, .low = 25, .unread_high = 100});
  CHECK(source->send(bytes(Channel::kOneWrite)) == Offer::accepted);
  CHECK(source->send(bytes(Channel::kOneWrite)) == Offer::paused);
  CHECK(source->channel().stats().queued == Channel::kOneWrite);
  for (int write = 0; write < 2; ++write) {
    CHECK(drain(source->channel()).size() == Channel::kOneWrite);
    flow.hub->run_until_idle();
    CHECK(source->resumed() == 1);
  }
}

TEST_CASE("Channel: the low mark that a request asks for counts, though above a quarter") {
  Flow flow;
  const auto source = reading(flow, {.high = 1000, .low = 999, .unread_high = 100});
  source->send(bytes(1000));
  CHECK(source->send("y") == Offer::paused);
  drain(source->channel(), 1);
  flow.hub->run_until_idle();
  CHECK(source->resumed() == 0);
  drain(source->channel(), 1);
  flow.hub->run_until_idle();
  CHECK(source->resumed() == 1);
}

TEST_CASE("Channel: the bytes that complete a body are never paused") {
  Flow flow;
  const auto source = reading(flow, kSmall);
  source->send(bytes(1000));
  CHECK(source->send(bytes(5000), true) == Offer::accepted);
  CHECK_FALSE(source->paused());
  source->end();
  CHECK(drain(source->channel()).size() == 6000);
  CHECK(try_take(source->channel()).status == ReadStatus::end);
  CHECK(flow.hub->stats().pauses == 0);
}

TEST_CASE("Channel: an empty write changes nothing") {
  Flow flow;
  const auto source = reading(flow, kSmall);
  source->send(bytes(1000));
  CHECK(source->send("") == Offer::accepted);
  CHECK_FALSE(source->paused());
  CHECK(source->channel().stats().received == 1000);
}

TEST_CASE("Channel: the first read of any form resumes a body paused at the unread mark") {
  Flow flow;
  const auto source = flow.source(kSmall);
  source->send(bytes(100));
  CHECK(source->send(bytes(100)) == Offer::paused);
  CHECK(source->channel().stats().queued == 100);
  std::size_t took = 0;
  SUBCASE("a read that takes all") { took = try_take(source->channel()).chunk.size(); }
  SUBCASE("a read that takes one byte, far from the low mark") {
    took = try_take(source->channel(), 1).chunk.size();
  }
  SUBCASE("a read with a deadline that has passed") {
    took = source->channel().take(1, {true, detail::TimePoint{}}).chunk.size();
  }
  CHECK(flow.hub->rings() == 1);
  flow.hub->run_until_idle();
  CHECK(source->resumed() == 1);
  CHECK(source->held() == 0);
  CHECK(drain(source->channel()).size() == 200 - took);
  flow.check_counters(0);
}

TEST_CASE("Channel: a first read before the unread mark puts the high mark in force") {
  Flow flow;
  const auto source = reading(flow, kSmall);
  CHECK(source->send(bytes(500)) == Offer::accepted);
  CHECK(source->send(bytes(499)) == Offer::accepted);
  CHECK(source->send(bytes(1)) == Offer::accepted);
  CHECK(source->send(bytes(1)) == Offer::paused);
}

TEST_CASE("Channel: an unread body whose marks are equal resumes as soon as it is read") {
  Flow flow;
  const auto source = flow.source({.high = 100, .low = 25, .unread_high = 100});
  source->send(bytes(100));
  CHECK(source->send(bytes(1)) == Offer::paused);
  CHECK(try_take(source->channel(), 1).chunk.size() == 1);  // 99 left: below high, not low
  flow.hub->run_until_idle();
  CHECK(source->resumed() == 1);
  CHECK(source->send(bytes(1)) == Offer::paused);  // 100 again: now the low mark counts
  CHECK(try_take(source->channel(), 75).chunk.size() == 75);
  flow.hub->run_until_idle();
  CHECK(source->resumed() == 1);
  CHECK(try_take(source->channel(), 1).chunk.size() == 1);
  flow.hub->run_until_idle();
  CHECK(source->resumed() == 2);
}

TEST_CASE("Channel: any number of reads rings the bell once until the I/O thread has looked") {
  Flow flow;
  const auto source = reading(flow, kSmall);
  source->send(bytes(1000));
  source->send(bytes(5000));
  CHECK(source->paused());
  for (int i = 0; i < 1000; ++i) CHECK(try_take(source->channel(), 1));
  CHECK(flow.hub->rings() == 1);
  flow.hub->run_until_idle();
  CHECK(source->resumed() == 1);
}

TEST_CASE("Channel: reads of a body that flows ring no bell") {
  Flow flow;
  const auto source = reading(flow, {});
  for (int i = 0; i < 1000; ++i) {
    source->send(bytes(16384));
    CHECK(drain(source->channel()).size() == 16384);
  }
  CHECK(flow.hub->rings() == 0);
}

TEST_CASE("Channel: a draining reader rings at most once per half buffer") {
  Flow flow;
  const Watermarks marks{.high = 65536, .low = 16384, .unread_high = 65536};
  const auto source = reading(flow, marks);
  const std::size_t total = std::size_t{8} << 20;
  for (std::size_t sent = 0; sent < total; sent += 4096) source->send(bytes(4096));
  std::size_t got = 0;
  while (got < total) {
    got += drain(source->channel(), 1000).size();
    flow.hub->run_until_idle();
  }
  CHECK(got == total);
  CHECK(flow.hub->rings() <= total / (marks.high / 2));
  CHECK(flow.hub->rings() >= total / marks.high / 2);
  flow.check_counters(0);
}

TEST_CASE("Channel: a transport that tries again by itself is told the same, and counts once") {
  Flow flow;
  const auto source = reading(flow, kSmall);
  source->send(bytes(1000));
  CHECK(source->send(bytes(10)) == Offer::paused);
  CHECK(source->deliver() == Offer::paused);
  CHECK(source->channel().stats().pauses == 1);
  drain(source->channel());
  CHECK(source->deliver() == Offer::accepted);  // before the credit was handled
  CHECK_FALSE(source->paused());
  flow.check_counters(0);
  flow.hub->run_until_idle();
  CHECK(source->resumed() == 0);  // nothing is left to resume
  flow.check_counters(0);
}

TEST_CASE("Channel: stats count the time paused, the pause under way included") {
  Flow flow;
  const auto source = reading(flow, kSmall);
  using std::chrono::milliseconds;
  flow.clock.advance(milliseconds(50));
  source->send(bytes(1000));
  source->send(bytes(1000));
  flow.clock.advance(milliseconds(20));
  CHECK(source->channel().stats().paused);
  CHECK(source->channel().stats().paused_for == milliseconds(20));
  drain(source->channel());
  flow.clock.advance(milliseconds(1));
  flow.hub->run_until_idle();
  flow.clock.advance(milliseconds(100));
  CHECK_FALSE(source->channel().stats().paused);
  CHECK(source->channel().stats().paused_for == milliseconds(21));
  source->send(bytes(1));
  flow.clock.advance(milliseconds(4));
  CHECK(source->channel().stats().paused_for == milliseconds(25));
}

TEST_CASE("Channel: an idle body holds no memory, and one write holds what it carries") {
  Flow flow;
  const auto source = reading(flow, {});
  CHECK(flow.hub->budget.held() == 0);
  for (int i = 0; i < 100; ++i) source->send("0123456789");
  CHECK(flow.hub->budget.held() == detail::Slab::kSmallest + sizeof(detail::Slab));
  CHECK(drain(source->channel()).size() == 1000);  // ends with a read that finds nothing
  CHECK(flow.hub->budget.held() == 0);
}

TEST_CASE("Channel: single bytes into a stalled body cost no slab each") {
  Flow flow;
  const auto source = reading(flow, {.high = 200'000, .low = 1, .unread_high = 1});
  for (int i = 0; i < 200'000; ++i) {
    if (source->send("x") == Offer::paused) break;
  }
  CHECK(source->channel().stats().queued == 200'000);
  CHECK(flow.hub->budget.held() <= 200'000 + 2 * detail::Slab::kLargest);
  CHECK(drain(source->channel()).size() == 200'000);
}

TEST_CASE("Channel: dropping both ends gives all memory back") {
  Flow flow;
  {
    const auto source = reading(flow, {});
    for (int i = 0; i < 20; ++i) source->send(bytes(16384));
    try_take(source->channel(), 100);
    CHECK(flow.hub->budget.held() > 0);
    flow.hub->run_until_idle();
  }
  CHECK(flow.hub->budget.held() == 0);
}

TEST_SUITE_END();
