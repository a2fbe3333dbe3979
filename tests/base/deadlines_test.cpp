#include "base/deadlines.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <vector>

using weir::detail::DeadlineNode;
using weir::detail::Deadlines;
using weir::detail::TimePoint;

namespace {

TimePoint at(int milliseconds) { return TimePoint{} + std::chrono::milliseconds(milliseconds); }

}  // namespace

TEST_SUITE_BEGIN("base");

TEST_CASE("Deadlines: the earliest comes first, and only once") {
  Deadlines deadlines;
  DeadlineNode a, b;
  CHECK(deadlines.next() == TimePoint::max());
  deadlines.set(a, at(20));
  deadlines.set(b, at(10));
  CHECK(deadlines.next() == at(10));
  CHECK(deadlines.take_expired(at(9)) == nullptr);
  CHECK(deadlines.take_expired(at(10)) == &b);
  CHECK(b.due() == TimePoint::max());
  CHECK(deadlines.take_expired(at(10)) == nullptr);
  deadlines.remove(b);
  CHECK(deadlines.size() == 1);
  deadlines.remove(a);
}

TEST_CASE("Deadlines: one that moves keeps its order") {
  Deadlines deadlines;
  DeadlineNode a, b;
  deadlines.set(a, at(10));
  deadlines.set(b, at(20));
  deadlines.set(a, at(30));
  CHECK(deadlines.next() == at(20));
  deadlines.set(a, at(5));
  CHECK(deadlines.next() == at(5));
  deadlines.set(a, TimePoint::max());
  CHECK(deadlines.size() == 1);
  deadlines.remove(b);
}

TEST_CASE("Deadlines: any sequence of changes agrees with a sorted list") {
  std::mt19937 random(7);
  std::vector<DeadlineNode> nodes(60);
  Deadlines deadlines;
  std::vector<TimePoint> model(nodes.size(), TimePoint::max());
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t which = random() % nodes.size();
    const TimePoint due =
        random() % 4 == 0 ? TimePoint::max() : at(static_cast<int>(random() % 500));
    deadlines.set(nodes[which], due);
    model[which] = due;
    REQUIRE(deadlines.next() == *std::min_element(model.begin(), model.end()));
  }
  TimePoint last{};
  while (DeadlineNode* node = deadlines.take_expired(at(1000))) {
    const auto which = static_cast<std::size_t>(node - nodes.data());
    REQUIRE(model[which] >= last);
    last = model[which];
    model[which] = TimePoint::max();
  }
  CHECK(std::all_of(model.begin(), model.end(), [](auto due) { return due == TimePoint::max(); }));
}

TEST_SUITE_END();
