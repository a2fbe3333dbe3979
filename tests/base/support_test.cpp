#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "support/failing_new.hpp"
#include "support/manual_clock.hpp"
#include "support/memory.hpp"
#include "support/must_call.hpp"
#include "support/size.hpp"
#include "support/sweep.hpp"

using namespace std::chrono_literals;

TEST_SUITE_BEGIN("base");

TEST_CASE("sweep: runs every size, and its pieces are the whole") {
  const std::string whole(40, 'x');
  std::vector<std::size_t> counts;
  weir::test::sweep(whole, [&](const std::vector<std::string_view>& pieces) {
    counts.push_back(pieces.size());
    std::string joined;
    for (const auto piece : pieces) joined += piece;
    CHECK(joined == whole);
  });
  CHECK(counts == std::vector<std::size_t>{40, 20, 14, 10, 8, 7, 6, 5, 3, 2, 1});
  weir::test::sweep("", [](const auto& pieces) { CHECK(pieces.empty()); });
}

TEST_CASE("MustCall: counts calls of every function it made, from any thread") {
  weir::test::MustCall both("both", 2);
  auto add = both([](int a, std::unique_ptr<int> b) { return a + *b; });
  CHECK(add(1, std::make_unique<int>(2)) == 3);
  CHECK(both.calls() == 1);
  std::thread(both(), "ignored").join();
  CHECK(both.calls() == 2);
  const auto never = weir::test::must_not_call("never");
  const auto unused = never();
}

TEST_CASE("ManualClock: moves when told to, and only then") {
  weir::test::ManualClock manual;
  const weir::detail::Clock& clock = manual;
  const auto start = clock.now();
  CHECK(start > weir::detail::TimePoint{});
  CHECK(clock.now() == start);
  manual.advance(5s);
  CHECK(clock.now() == start + 5s);
}

TEST_CASE("Clock: the steady one never goes back") {
  const auto& clock = weir::detail::Clock::steady();
  const auto before = std::chrono::steady_clock::now();
  const auto now = clock.now();
  CHECK(now >= before);
  CHECK(now <= std::chrono::steady_clock::now());
}

TEST_CASE("fail_each_allocation: fails each one in turn" *
          doctest::skip(!weir::test::kCanFailNew)) {
  std::vector<int> order;
  order.reserve(10);
  CHECK(weir::test::fail_each_allocation([&](int n) {
          order.push_back(n);
          // Called by name: a compiler may leave out what a new-expression would allocate.
          for (int i = 0; i < 3; ++i) ::operator delete(::operator new(10));
        }) == 3);
  CHECK(order == std::vector<int>{0, 1, 2, 3});
}

TEST_CASE("open_fds: counts one more for a file opened") {
  const auto before = weir::test::open_fds();
  const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  CHECK(weir::test::open_fds() == before + 1);
  ::close(file);
  CHECK(weir::test::open_fds() == before);
}

TEST_CASE("thread_count: counts one more for a thread started") {
  const auto before = weir::test::thread_count();
  std::promise<void> end;
  std::thread thread([ended = end.get_future()] { ended.wait(); });
  CHECK(weir::test::thread_count() == before + 1);
  end.set_value();
  thread.join();
}

TEST_CASE("rss, peak_rss and heap_in_use: see 32 MiB come and go") {
  if (weir::test::under_sanitizer()) return;
  constexpr std::size_t kSize = std::size_t{32} << 20;
  constexpr std::size_t kSlack = std::size_t{1} << 20;
  weir::test::reset_peak_rss();
  const auto heap = weir::test::heap_in_use();
  const auto rss = weir::test::rss();
  {
    const std::string block(kSize, 'x');
    CHECK(weir::test::heap_in_use() - heap >= kSize);
    CHECK(weir::test::heap_in_use() - heap < kSize + kSlack);
    CHECK(weir::test::rss() >= rss + kSize - kSlack);
  }
  weir::test::trim_heap();
  CHECK(weir::test::heap_in_use() < heap + kSlack);
  CHECK(weir::test::rss() < rss + kSlack);
  CHECK(weir::test::peak_rss() >= rss + kSize - kSlack);
}

TEST_SUITE_END();
