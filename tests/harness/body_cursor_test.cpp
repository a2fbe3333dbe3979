#include "harness/body_cursor.hpp"

#include <doctest/doctest.h>

using namespace weir::harness;
using namespace std::chrono_literals;
using Action = BodyCursor::Action;

namespace {

BodyPlan body_of(std::uint64_t length) {
  BodyPlan plan;
  plan.source = BodySource::pattern;
  plan.length = length;
  return plan;
}

}  // namespace

TEST_SUITE("harness") {
  TEST_CASE("BodyCursor: allows everything at once where nothing is asked for") {
    const Clock::time_point now{};
    BodyCursor cursor(body_of(std::uint64_t{1} << 63), now);
    CHECK(cursor.next(now).bytes == std::uint64_t{1} << 63);
    cursor.sent((std::uint64_t{1} << 63) - 1);
    CHECK(cursor.next(now).bytes == 1);
    cursor.sent(1);
    CHECK(cursor.next(now).action == Action::end);
  }

  TEST_CASE("BodyCursor: stops at its stall, and goes on when the time is over") {
    Clock::time_point now{};
    BodyPlan plan = body_of(100);
    plan.stall_after = 40;
    plan.stall = 500ms;
    BodyCursor cursor(plan, now);
    CHECK(cursor.next(now).bytes == 40);
    cursor.sent(40);
    now += 10s;  // the stall begins when it is reached
    const auto step = cursor.next(now);
    CHECK(step.action == Action::wait);
    CHECK(step.until == now + 500ms);
    CHECK(cursor.next(now + 499ms).action == Action::wait);
    CHECK(cursor.next(now + 500ms).bytes == 60);
  }

  TEST_CASE("BodyCursor: stalls for ever without a time, also before the first byte") {
    const Clock::time_point now{};
    BodyPlan plan = body_of(100);
    plan.stall_after = 0;
    BodyCursor cursor(plan, now);
    CHECK(cursor.next(now).action == Action::stall);
    CHECK(cursor.next(now + 24h).action == Action::stall);
  }

  TEST_CASE("BodyCursor: cuts where it should, before a stall at the same place") {
    const Clock::time_point now{};
    BodyPlan plan = body_of(100);
    plan.cut = Cut::rst;
    plan.cut_after = 60;
    plan.stall_after = 60;
    BodyCursor cursor(plan, now);
    CHECK(cursor.next(now).bytes == 60);
    cursor.sent(60);
    CHECK(cursor.next(now).action == Action::cut);
  }

  TEST_CASE("BodyCursor: a cut after the end never comes, one at the end does") {
    const Clock::time_point now{};
    for (const unsigned after : {100U, 101U}) {
      CAPTURE(after);
      BodyPlan plan = body_of(100);
      plan.cut = Cut::fin;
      plan.cut_after = after;
      BodyCursor cursor(plan, now);
      cursor.sent(cursor.next(now).bytes);
      CHECK(cursor.offset() == 100);
      CHECK(cursor.next(now).action == (after == 100 ? Action::cut : Action::end));
    }
  }

  TEST_CASE("BodyCursor: writes are no larger than asked, at a stall smaller") {
    const Clock::time_point now{};
    BodyPlan plan = body_of(1000);
    plan.write_size = 300;
    plan.stall_after = 400;
    BodyCursor cursor(plan, now);
    CHECK(cursor.next(now).bytes == 300);
    cursor.sent(300);
    CHECK(cursor.next(now).bytes == 100);
  }

  TEST_CASE("BodyCursor: keeps its rate to a tenth of a second") {
    Clock::time_point now{};
    BodyPlan plan = body_of(1'000'000);
    plan.rate = 100'000;
    BodyCursor cursor(plan, now);
    while (true) {
      const auto step = cursor.next(now);
      if (step.action == Action::end) break;
      if (step.action == Action::send) {
        cursor.sent(step.bytes);
        const double allowed =
            100'000 * std::chrono::duration<double>(now.time_since_epoch()).count();
        REQUIRE(static_cast<double>(cursor.offset()) <= allowed + 10'001);
      } else {
        REQUIRE(step.until > now);
        now = step.until;
      }
    }
    CHECK(now.time_since_epoch() > 9'900ms);
    CHECK(now.time_since_epoch() < 10'100ms);
  }

  TEST_CASE("BodyCursor: after `wait` it is ready when it said, and never takes an offer back") {
    Clock::time_point now{};
    BodyPlan plan = body_of(1'000'000);
    plan.rate = 777;
    plan.write_size = 5;
    BodyCursor cursor(plan, now);
    for (int i = 0; i < 1000; ++i) {
      auto step = cursor.next(now);
      if (step.action == Action::wait) {
        now = step.until;
        step = cursor.next(now);
      }
      REQUIRE(step.action == Action::send);
      now += 1us;
      REQUIRE(cursor.next(now).bytes >= step.bytes);
      cursor.sent(step.bytes);
    }
  }

  TEST_CASE("BodyCursor: a body of unknown length ends when its source does") {
    const Clock::time_point now{};
    BodyPlan plan;
    plan.source = BodySource::echo;
    plan.length.reset();
    BodyCursor cursor(plan, now);
    CHECK(cursor.next(now).action == Action::send);
    cursor.sent(10);
    cursor.source_ended();
    CHECK(cursor.next(now).action == Action::end);
  }
}
