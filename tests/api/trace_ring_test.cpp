#include "api/trace_ring.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/coroutine.hpp"

using namespace weir;
using namespace weir::test;
using detail::TraceRing;

namespace {

struct Seen {
  std::uint64_t request, dropped;
  bool operator==(const Seen&) const = default;
};

std::string path_of(std::uint64_t number) {
  std::string url = "http://localhost/a/path/that/is/long/enough/";
  return url += std::to_string(number);
}

/// A ring, and what came out of it.
struct Fixture {
  Fixture() {
    ring = std::make_shared<TraceRing>([this](const TraceEvent& event) { listen(event); },
                                       continuations);
  }
  ~Fixture() { continuations->stop(); }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  void emit(std::uint64_t from, std::uint64_t to) const {
    for (std::uint64_t i = from; i < to; ++i) {
      TraceEvent event;
      event.request = i;
      event.url = path_of(i);
      ring->emit(std::move(event));
    }
  }
  /// Emits event 0, and returns when the listener has it, which then waits for `go_on`.
  void emit_first_and_hold() {
    held = true;
    emit(0, 1);
    reached.get_future().wait();
  }
  /// Waits until `events` have come out.
  void wait_for(std::size_t events) const {
    while (count.load() < events) std::this_thread::yield();
  }
  void listen(const TraceEvent& event) {
    threads.push_back(thread_name());
    seen.push_back({event.request, event.dropped});
    urls.push_back(event.url);
    if (held && seen.size() == 1) {
      reached.set_value();
      go_on.get_future().wait();
    }
    ++count;
  }

  const std::shared_ptr<flow::Continuations> continuations =
      std::make_shared<flow::Continuations>(flow::Continuations::Resume());
  std::shared_ptr<TraceRing> ring;
  bool held = false;
  std::promise<void> reached, go_on;
  std::atomic<std::size_t> count{0};
  // The continuation thread's, until it has stopped.
  std::vector<Seen> seen;
  std::vector<std::string> threads, urls;
};

}  // namespace

TEST_SUITE_BEGIN("api");

TEST_CASE("TraceRing: events come in order, whole, and on the continuation thread") {
  Fixture fixture;
  fixture.emit(0, 1'000);
  fixture.continuations->stop();
  REQUIRE(fixture.seen.size() == 1'000);
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    CHECK(fixture.seen[i] == Seen{i, 0});
    CHECK(fixture.urls[i] == path_of(i));
    CHECK(fixture.threads[i] == "weir-resume");
  }
}

TEST_CASE("TraceRing: what finds no room is dropped, and counted in the next event") {
  constexpr std::uint64_t kRoom = TraceRing::kRoom;
  Fixture fixture;
  fixture.emit_first_and_hold();
  fixture.emit(1, 1 + kRoom + 7);  // seven too many
  fixture.go_on.set_value();
  fixture.wait_for(1 + kRoom);
  fixture.emit(5'000, 5'002);
  fixture.continuations->stop();
  REQUIRE(fixture.seen.size() == 1 + kRoom + 2);
  for (std::uint64_t i = 0; i <= kRoom; ++i) CHECK(fixture.seen[i] == Seen{i, 0});
  CHECK(fixture.seen[kRoom + 1] == Seen{5'000, 7});
  CHECK(fixture.seen[kRoom + 2] == Seen{5'001, 0});
}

TEST_CASE("TraceRing: its room is used again and again") {
  Fixture fixture;
  constexpr std::uint64_t kRounds = 50;
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    fixture.emit(round * 100, round * 100 + 100);
    fixture.wait_for((round + 1) * 100);
  }
  fixture.continuations->stop();
  REQUIRE(fixture.seen.size() == kRounds * 100);
  for (std::uint64_t i = 0; i < kRounds * 100; ++i) CHECK(fixture.seen[i] == Seen{i, 0});
}

TEST_CASE("TraceRing: coroutines get their turn among many events") {
  constexpr std::uint64_t kEvents = 500;
  Fixture fixture;
  fixture.emit_first_and_hold();
  fixture.emit(1, kEvents);
  struct Note final : flow::Task {
    explicit Note(Fixture& which) : fixture(which) {}
    void run() noexcept override { seen_before = fixture.seen.size(); }
    Fixture& fixture;
    std::size_t seen_before = 0;
  };
  const auto note = std::make_shared<Note>(fixture);
  fixture.continuations->post(note);
  fixture.go_on.set_value();
  fixture.continuations->stop();
  CHECK(fixture.seen.size() == kEvents);
  CHECK(note->seen_before < 5);
}

TEST_CASE("TraceRing: an event after the end of the continuation thread is dropped") {
  Fixture fixture;
  fixture.continuations->stop();
  fixture.emit(0, 3);
  CHECK(fixture.seen.empty());
}

TEST_SUITE_END();
