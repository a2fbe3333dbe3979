#include "harness/stats_board.hpp"

#include <doctest/doctest.h>

#include <future>

using namespace weir::harness;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

TEST_SUITE("harness") {
  TEST_CASE("StatsBoard: adds up totals and keeps a record of each body") {
    StatsBoard board;
    board.connection_opened();
    board.request();
    board.body_began(1, "/a");
    board.body_began(2, "/b");
    board.sent(1, 80, 1000);
    board.blocked(1, steady_clock::now());
    board.blocked(1, steady_clock::now());  // no progress between: the same blockade
    board.sent(2, 80, 10);
    board.body_ended(2, BodyState::finished);

    const FirehoseStats stats = board.snapshot();
    CHECK(stats.bytes_accepted == 1010);
    CHECK(stats.head_bytes == 160);
    CHECK(stats.times_blocked == 1);
    CHECK(stats.connections_open == 1);
    REQUIRE(stats.bodies.size() == 2);
    CHECK(stats.bodies[0].blocked);
    CHECK(stats.bodies[0].state == BodyState::live);
    CHECK(stats.bodies[1].state == BodyState::finished);
    REQUIRE(stats.find("/b") != nullptr);
    CHECK(stats.find("/b")->bytes_accepted == 10);
    CHECK(stats.find("/c") == nullptr);
  }

  TEST_CASE("StatsBoard: remembers a bounded number of bodies and of each path") {
    StatsBoard board;
    const std::string path(5000, 'x');
    for (std::uint64_t id = 1; id <= StatsBoard::kRemembered + 10; ++id) {
      board.body_began(id, path);
      board.sent(id, 0, 1);
      board.body_ended(id, BodyState::cut);
    }
    const FirehoseStats stats = board.snapshot();
    CHECK(stats.bodies.size() == StatsBoard::kRemembered);
    CHECK(stats.bodies.front().id == 11);
    CHECK(stats.bodies.front().path.size() == StatsBoard::kMaxPath);
    CHECK(stats.bytes_accepted == StatsBoard::kRemembered + 10);
  }

  TEST_CASE("StatsBoard: JSON escapes what a path may hold") {
    StatsBoard board;
    board.body_began(1, "/a\"\\\x01\xc3");
    CHECK(
        board.json(true) ==
        "{\"bytes_accepted\":0,\"head_bytes\":0,\"times_blocked\":0,\"requests\":0,\"vanished\":0,"
        "\"connections_opened\":0,\"connections_open\":0,\"http2_connections\":0,"
        "\"pings_sent\":0,\"ping_cuts\":0,\"bodies\":[{\"id\":1,"
        "\"path\":\"/a\\\"\\\\\\u0001\\u00c3\",\"bytes_accepted\":0,\"times_blocked\":0,"
        "\"stream_id\":0,\"blocked\":false,\"state\":\"live\"}]}\n");
    CHECK(board.json(false).find("bodies") == std::string::npos);
  }

  TEST_CASE("StatsBoard: only a body without progress for the quiet time counts as blocked") {
    StatsBoard board;
    board.body_began(1, "/a");
    board.sent(1, 0, 100);
    CHECK_FALSE(board.wait_until_blocked({0, 1, 0ms}, 0ms));
    board.blocked(1, steady_clock::now());
    CHECK(board.wait_until_blocked({0, 1, 0ms}, 0ms));
    CHECK(board.wait_until_blocked({100, 1, 1ms}, 10s));
    CHECK_FALSE(board.wait_until_blocked({0, 1, 24h}, 0ms));    // not for so long yet
    CHECK_FALSE(board.wait_until_blocked({101, 1, 0ms}, 0ms));  // not so many bytes
    CHECK_FALSE(board.wait_until_blocked({0, 2, 0ms}, 0ms));    // not so many bodies
    board.sent(1, 0, 1);
    CHECK_FALSE(board.wait_until_blocked({0, 1, 0ms}, 0ms));
  }

  TEST_CASE("StatsBoard: waits end when the counters say so, and not before") {
    StatsBoard board;
    CHECK_FALSE(board.wait_for([](const FirehoseStats& s) { return s.requests > 0; }, 0ms));
    auto requests = std::async(std::launch::async, [&] {
      return board.wait_for([](const FirehoseStats& s) { return s.requests == 100; }, 20s);
    });
    auto blocked = std::async(std::launch::async, [&] {
      return board.wait_until_blocked({5, 1, 1ms}, 20s);
    });
    board.body_began(1, "/a");
    board.sent(1, 0, 5);
    for (int i = 0; i < 100; ++i) {
      board.request();
      board.publish();
    }
    board.blocked(1, steady_clock::now());
    CHECK(requests.get());
    CHECK(blocked.get());
  }
}
