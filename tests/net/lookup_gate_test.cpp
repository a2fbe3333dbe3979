#include "net/lookup_gate.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

using weir::net::LookupGate;
using weir::net::LookupSeeker;

namespace {

struct Seeker final : LookupSeeker {
  bool lookup_over() const noexcept override { return over; }
  bool over = false;
};

constexpr std::size_t kMost = LookupGate::kMost;

/// `count` of them, each of which has entered for a host of its own.
std::vector<std::unique_ptr<Seeker>> crowd(LookupGate& gate, std::size_t count) {
  std::vector<std::unique_ptr<Seeker>> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(std::make_unique<Seeker>());
    gate.enter(*all.back(), "host" + std::to_string(i));
  }
  return all;
}

void clear(LookupGate& gate, const std::vector<std::unique_ptr<Seeker>>& all) {
  for (const auto& seeker : all) gate.leave(*seeker);
}

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("LookupGate: who asks for another host is let in, who asks for the same is held") {
  LookupGate gate;
  Seeker first;
  Seeker other;
  Seeker same;
  CHECK(gate.empty());
  CHECK(gate.enter(first, "a:80"));
  CHECK(gate.enter(other, "b:80"));
  CHECK_FALSE(gate.enter(same, "a:80"));
  CHECK(first.looks_up());
  CHECK_FALSE(first.held());
  CHECK(same.held());
  CHECK(gate.next() == nullptr);
  for (Seeker* const seeker : {&first, &other, &same}) gate.leave(*seeker);
  CHECK(gate.empty());
}

TEST_CASE("LookupGate: an answer is for all who asked the same, at once") {
  LookupGate gate;
  Seeker first;
  std::array<Seeker, 3> same;
  Seeker other;
  gate.enter(first, "a");
  gate.enter(other, "b");
  for (auto& seeker : same) CHECK_FALSE(gate.enter(seeker, "a"));
  first.over = true;
  gate.settle();
  CHECK_FALSE(first.looks_up());
  for (auto& seeker : same) {
    CHECK(seeker.held());
    CHECK(gate.next() == &seeker);
    CHECK_FALSE(seeker.held());
  }
  CHECK(gate.next() == nullptr);
  CHECK(other.looks_up());
  gate.leave(other);
  CHECK(gate.empty());
}

TEST_CASE("LookupGate: an answer that came unnoticed, before its seeker left, counts as well") {
  LookupGate gate;
  Seeker first;
  std::array<Seeker, 2> same;
  gate.enter(first, "a");
  for (auto& seeker : same) gate.enter(seeker, "a");
  first.over = true;
  SUBCASE("the seeker leaves") { gate.leave(first); }
  SUBCASE("another asks") {
    Seeker late;
    CHECK(gate.enter(late, "a"));
    gate.leave(late);
  }
  CHECK(gate.next() == &same[0]);
  CHECK(gate.next() == &same[1]);
  CHECK(gate.empty());
}

TEST_CASE("LookupGate: when a seeker leaves without an answer, the next of its line asks") {
  LookupGate gate;
  Seeker first;
  std::array<Seeker, 2> same;
  gate.enter(first, "a");
  for (auto& seeker : same) gate.enter(seeker, "a");
  gate.leave(first);
  CHECK(gate.next() == &same[0]);
  CHECK(gate.next() == nullptr);
  CHECK(gate.enter(same[0], "a"));
  CHECK(same[0].looks_up());
  CHECK(same[1].held());
  gate.leave(same[0]);
  CHECK(gate.next() == &same[1]);
  gate.leave(same[1]);
  CHECK(gate.empty());
}

TEST_CASE("LookupGate: who was called and does not ask, gives way at the end of its turn") {
  LookupGate gate;
  Seeker first;
  std::array<Seeker, 2> same;
  gate.enter(first, "a");
  for (auto& seeker : same) gate.enter(seeker, "a");
  gate.leave(first);
  CHECK(gate.next() == &same[0]);  // it finds an idle connection, say
  gate.settle();
  CHECK_FALSE(same[0].held());
  CHECK(gate.next() == &same[1]);
  gate.settle();
  CHECK(gate.empty());
}

TEST_CASE("LookupGate: a failure is taken by all who are held for the same host") {
  LookupGate gate;
  Seeker first;
  std::array<Seeker, 2> same;
  Seeker other;
  gate.enter(first, "a");
  gate.enter(other, "b");
  Seeker behind_other;
  gate.enter(behind_other, "b");
  for (auto& seeker : same) gate.enter(seeker, "a");
  const auto companions = gate.take_companions(first);
  CHECK(companions.size() == 2);
  CHECK(companions.front() == &same[0]);
  CHECK_FALSE(same[1].held());
  CHECK(behind_other.held());
  gate.leave(first);
  gate.leave(other);
  gate.leave(behind_other);
  CHECK(gate.empty());
}

TEST_CASE("LookupGate: no more lookups than kMost are let in; the longest held goes first") {
  LookupGate gate;
  const auto crowded = crowd(gate, kMost);
  Seeker first;
  Seeker second;
  CHECK_FALSE(gate.enter(first, "x"));
  CHECK_FALSE(gate.enter(second, "y"));
  gate.leave(*crowded[3]);
  CHECK(gate.next() == &first);
  CHECK(gate.next() == nullptr);
  Seeker late;
  CHECK_FALSE(gate.enter(late, "z"));  // the room is for who was called
  CHECK(gate.enter(first, "x"));
  crowded[5]->over = true;
  gate.settle();
  CHECK(gate.next() == &second);
  clear(gate, crowded);
  for (Seeker* const seeker : {&first, &second, &late}) gate.leave(*seeker);
  CHECK(gate.empty());
}

TEST_CASE("LookupGate: whatever happens to those in front, nobody is held for ever") {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::minstd_rand random(seed);
    const auto below = [&](std::size_t count) { return random() % count; };
    LookupGate gate;
    std::vector<std::unique_ptr<Seeker>> all;
    std::vector<Seeker*> outside;  // never entered, or named by next()
    const auto hosts = 1 + below(40);
    for (std::size_t i = 0; i < 60; ++i) all.push_back(std::make_unique<Seeker>());
    const auto host = [&](const Seeker& seeker) {
      const auto place = std::find_if(all.begin(), all.end(),
                                      [&](const auto& one) { return one.get() == &seeker; });
      return std::to_string(static_cast<std::size_t>(place - all.begin()) % hosts);
    };
    for (const auto& seeker : all) outside.push_back(seeker.get());
    std::size_t turns = 0;
    while (!outside.empty() || !gate.empty()) {
      REQUIRE(++turns < 1000);
      // A turn: those outside begin, mostly; things happen to those under way.
      for (Seeker* const seeker : std::exchange(outside, {})) {
        seeker->over = false;
        if (below(5) != 0) gate.enter(*seeker, host(*seeker));
      }
      std::set<std::string> asked;
      std::size_t looking = 0;
      for (const auto& seeker : all) {
        if (!seeker->looks_up()) continue;
        ++looking;
        REQUIRE(asked.insert(host(*seeker)).second);
        switch (below(3)) {
          case 0: seeker->over = true; break;
          case 1: gate.leave(*seeker); break;
          default: break;
        }
      }
      REQUIRE(looking <= kMost);
      if (below(4) == 0) gate.leave(*all[below(all.size())]);
      gate.settle();
      while (LookupSeeker* const next = gate.next()) outside.push_back(static_cast<Seeker*>(next));
    }
    for (const auto& seeker : all) {
      CHECK_FALSE(seeker->held());
      CHECK_FALSE(seeker->looks_up());
    }
  }
}

TEST_SUITE_END();
