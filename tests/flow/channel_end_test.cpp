#include "flow/channel.hpp"

#include <doctest/doctest.h>

#include <new>
#include <string>
#include <thread>

#include "flow/flow_fixture.hpp"
#include "support/failing_new.hpp"

// How a Channel ends: end, failure, cancel, in every state and order; and who is woken.

using namespace weir;
using namespace weir::test;
using flow::Channel;
using flow::Wait;
using flow::Watermarks;

namespace {

constexpr Watermarks kSmall{.high = 1000, .low = 250, .unread_high = 1000};

std::string bytes(std::size_t count) { return std::string(count, 'x'); }

std::unique_ptr<FakeSource> paused(Flow& flow) {
  auto source = flow.source(kSmall);
  source->send(bytes(1000));
  CHECK(source->send(bytes(100)) == Offer::paused);
  return source;
}

errc take_error(Channel& channel) {
  return thrown_by([&] { try_take(channel); });
}

}  // namespace

TEST_SUITE_BEGIN("flow");

TEST_CASE("Channel: a failure comes after the bytes before it, and again each time") {
  Flow flow;
  const auto source = flow.source();
  source->send("abc");
  source->fail({.code = errc::truncated, .detail = "cut", .url = "u", .bytes_received = 3});
  CHECK(drain(source->channel(), 3) == "abc");
  for (int i = 0; i < 3; ++i) {
    try {
      try_take(source->channel());
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.code() == std::error_code(static_cast<int>(errc::truncated), error_category()));
      CHECK(error.detail() == "cut");
      CHECK(error.bytes_received() == 3);
    }
  }
}

TEST_CASE("Channel: out of memory comes after the bytes before it, as bad_alloc") {
  Flow flow;
  const auto source = flow.source();
  source->send("abc");
  flow.hub->as_io([&] { source->channel().fail_out_of_memory(); });
  CHECK(drain(source->channel(), 3) == "abc");
  CHECK_THROWS_AS(try_take(source->channel()), std::bad_alloc);
  CHECK_THROWS_AS(try_take(source->channel()), std::bad_alloc);
}

TEST_CASE("Channel: the first of end and fail counts") {
  Flow flow;
  const auto one = flow.source();
  one->end();
  one->fail({.code = errc::truncated, .detail = {}, .url = {}});
  CHECK(try_take(one->channel()).status == ReadStatus::end);
  const auto other = flow.source();
  other->fail({.code = errc::truncated, .detail = {}, .url = {}});
  other->end();
  flow.hub->as_io([&] { other->channel().fail_out_of_memory(); });
  CHECK(take_error(other->channel()) == errc::truncated);
}

TEST_CASE("Channel: an abort of the transport discards what is queued") {
  Flow flow;
  const auto source = flow.source();
  source->send("abc");
  source->fail({.code = errc::aborted, .detail = "the client", .url = {}});
  CHECK(take_error(source->channel()) == errc::aborted);
  CHECK(source->channel().stats().queued == 0);
  CHECK(flow.hub->budget.held() == 0);
}

TEST_CASE("Channel: a body that ends or fails while paused leaves the counters in balance") {
  Flow flow;
  const auto source = paused(flow);
  flow.check_counters(1);
  SUBCASE("failed") { source->fail_now({.code = errc::timed_out, .detail = {}, .url = {}}); }
  SUBCASE("ended") {
    flow.hub->as_io([&] { source->channel().end(); });
  }
  CHECK_FALSE(source->paused());
  CHECK(flow.hub->stats().cancelled_while_paused == 1);
  flow.check_counters(0);
  CHECK(drain(source->channel(), 1000).size() == 1000);  // credits count no more
  flow.hub->run_until_idle();
  CHECK(flow.hub->rings() == 0);
  CHECK(source->resumed() == 0);
}

TEST_CASE("Channel: cancel discards the queue, tells the transport once, and reads as aborted") {
  Flow flow;
  const auto source = flow.source();
  source->send(bytes(100'000));
  CHECK(try_take(source->channel(), 10).chunk.size() == 10);
  source->channel().cancel();
  CHECK(source->channel().cancelled());
  CHECK(flow.hub->budget.held() == 0);
  CHECK(source->channel().stats().queued == 0);
  CHECK(take_error(source->channel()) == errc::aborted);
  CHECK(thrown_by([&] { source->channel().wait_open(Wait::for_ever()); }) == errc::aborted);
  CHECK(source->cancelled() == 0);  // only from the top of the loop
  CHECK(source->send(bytes(100)) == Offer::accepted);
  CHECK(flow.hub->budget.held() == 0);
  source->channel().cancel();
  flow.hub->run_until_idle();
  CHECK(source->cancelled() == 1);
  CHECK(source->send(bytes(100)) == Offer::accepted);
  CHECK(flow.hub->budget.held() == 0);
  source->end();
  CHECK(take_error(source->channel()) == errc::aborted);
  flow.hub->run_until_idle();
  CHECK(source->cancelled() == 1);
}

TEST_CASE("Channel: cancel while paused disarms first and resumes nothing") {
  Flow flow;
  const auto source = paused(flow);
  SUBCASE("at once") { source->channel().cancel(); }
  SUBCASE("with a credit on its way") {
    CHECK(drain(source->channel(), 1000).size() == 1000);
    CHECK(flow.hub->rings() == 1);
    source->channel().cancel();
    CHECK(flow.hub->rings() == 1);
  }
  flow.check_counters(1);
  flow.hub->run_until_idle();
  CHECK(source->resumed() == 0);
  CHECK(source->cancelled() == 1);
  CHECK(flow.hub->stats().cancelled_while_paused == 1);
  flow.check_counters(0);
}

TEST_CASE("Channel: cancel after the transport has ended tells nobody, and discards") {
  Flow flow;
  const auto source = flow.source();
  source->send("abc");
  source->end();
  source->channel().cancel();
  CHECK(flow.hub->rings() == 0);
  CHECK(flow.hub->budget.held() == 0);
  CHECK(take_error(source->channel()) == errc::aborted);
  flow.hub->run_until_idle();
  CHECK(source->cancelled() == 0);
}

TEST_CASE("Channel: an end between cancel and its handling leaves nothing to tell") {
  Flow flow;
  const auto source = paused(flow);
  source->channel().cancel();
  flow.hub->as_io([&] { source->channel().end(); });
  flow.hub->run_until_idle();
  CHECK(source->cancelled() == 0);
  flow.check_counters(0);
}

TEST_CASE("Channel: cancel after the reader met the end changes nothing") {
  Flow flow;
  const auto ended = flow.source();
  ended->end();
  CHECK(try_take(ended->channel()).status == ReadStatus::end);
  ended->channel().cancel();
  CHECK_FALSE(ended->channel().cancelled());
  CHECK(try_take(ended->channel()).status == ReadStatus::end);
  const auto failed = flow.source();
  failed->fail({.code = errc::truncated, .detail = {}, .url = {}});
  CHECK(take_error(failed->channel()) == errc::truncated);
  failed->channel().cancel();
  CHECK(take_error(failed->channel()) == errc::truncated);
}

TEST_CASE("Channel: a transport that attaches to a cancelled body is told from the loop") {
  Flow flow;
  const auto channel = flow.channel();
  channel->cancel();
  flow.hub->run_until_idle();
  FakeSource source(*flow.hub, channel);
  CHECK(source.cancelled() == 0);
  flow.hub->run_until_idle();
  CHECK(source.cancelled() == 1);
}

TEST_CASE("Channel: dropped while paused, it is counted as cancelled") {
  Flow flow;
  auto source = paused(flow);
  flow.hub->run_until_idle();  // it owes its reader a wake-up until then
  source.reset();
  flow.check_counters(0);
  CHECK(flow.hub->stats().cancelled_while_paused == 1);
  CHECK(flow.hub->budget.held() == 0);
}

TEST_CASE("Channel: wait_open waits for open or a failure") {
  Flow flow;
  const auto source = flow.source();
  CHECK_FALSE(source->channel().wait_open(Wait::never()));
  CHECK_FALSE(source->channel().wait_open({true, detail::TimePoint{}}));
  source->open();
  CHECK(source->channel().wait_open(Wait::never()));
  source->fail({.code = errc::truncated, .detail = {}, .url = {}});
  CHECK(source->channel().wait_open(Wait::never()));  // what was opened stays so
  const auto failed = flow.source();
  failed->fail({.code = errc::connect_failed, .detail = {}, .url = {}});
  CHECK(thrown_by([&] { failed->channel().wait_open(Wait::for_ever()); }) == errc::connect_failed);
}

TEST_CASE("Channel: each change wakes a waiting reader, at the end of the turn") {
  Flow flow;
  const auto source = flow.source();
  ReadResult result;
  errc error{};
  std::thread reader(
      [&] { error = thrown_by([&] { result = source->channel().take(10, Wait::for_ever()); }); });
  SUBCASE("bytes") {
    source->send("abc");
    flow.hub->run_until_idle();
    reader.join();
    CHECK(result.chunk.text() == "abc");
  }
  SUBCASE("end") {
    source->end();
    flow.hub->run_until_idle();
    reader.join();
    CHECK(error == errc{});
    CHECK(result.status == ReadStatus::end);
  }
  SUBCASE("failure") {
    source->fail({.code = errc::truncated, .detail = {}, .url = {}});
    flow.hub->run_until_idle();
    reader.join();
    CHECK(error == errc::truncated);
  }
  SUBCASE("cancel, without a turn") {
    source->channel().cancel();
    reader.join();
    CHECK(error == errc::aborted);
  }
  SUBCASE("the end of the hub") {
    source->end();
    flow.hub->shut();
    reader.join();
    CHECK(result.status == ReadStatus::end);
  }
  SUBCASE("an end after the end of the hub") {
    flow.hub->shut();
    source->end();
    reader.join();
    CHECK(result.status == ReadStatus::end);
  }
}

TEST_CASE("Channel: a read whose deadline passes leaves the body unharmed") {
  Flow flow;
  const auto source = flow.source();
  const auto past = detail::TimePoint{};
  CHECK(source->channel().take(10, {true, past}).status == ReadStatus::pending);
  source->send("abc");
  flow.hub->run_until_idle();
  CHECK(source->channel().take(10, {true, past}).chunk.text() == "abc");
}

TEST_CASE("Channel: a write that cannot be held takes nothing and may be tried again") {
  if (!kCanFailNew) return;
  Flow flow;
  const auto source = flow.source();
  source->send(std::string(100, 'a'));
  const std::string large(200'000, 'b');
  const Bytes data(reinterpret_cast<const std::byte*>(large.data()), large.size());
  bool unharmed = true;
  const int failures = fail_each_allocation([&](int) {
    try {
      flow.hub->as_io([&] { source->channel().offer(data); });
    } catch (...) {
      const BodyStats stats = source->channel().stats();
      unharmed = unharmed && stats.received == 100 && stats.queued == 100;
      throw;
    }
  });
  CHECK(failures >= 2);
  CHECK(unharmed);
  CHECK(drain(source->channel()) == std::string(100, 'a') + large);
  CHECK(flow.hub->budget.held() == 0);
}

TEST_SUITE_END();
