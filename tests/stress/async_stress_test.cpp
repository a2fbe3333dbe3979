#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "resources.hpp"
#include "subprocess.hpp"
#include "support/coroutine.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace std::chrono_literals;
using namespace weir::test;
using weir::Client;
using weir::ClientOptions;
using weir::ClientStats;
using weir::Deadline;
using weir::errc;
using weir::HttpVersion;
using weir::Reader;
using weir::ReadResult;
using weir::ReadStatus;
using weir::Response;
namespace pattern = weir::harness::pattern;

namespace {

constexpr std::size_t kCoroutines = 64;

using Random = std::mt19937_64;
std::uint64_t below(Random& random, std::uint64_t limit) { return random() % limit; }
bool one_in(Random& random, std::uint64_t chances) { return below(random, chances) == 0; }

struct Server {
  std::string url;
  HttpVersion version;
};

/// One exchange, and how it may end.
struct Plan {
  enum class Reading { whole, in_time, then_drop, then_cancel };

  std::string url;
  HttpVersion version{};
  std::uint64_t seed = 0, size = 0;
  bool never = false;                  // no answer, or not all of it
  std::optional<std::uint64_t> cut{};  // the server ends it there
  Reading reading{};
  std::uint64_t enough = 0;  // bytes after which it is dropped or cancelled
  std::chrono::microseconds patience{};
};

Plan draw(Random& random, const std::vector<Server>& servers) {
  const Server& server = servers[below(random, servers.size())];
  Plan plan;
  plan.version = server.version;
  plan.seed = below(random, 1000);
  plan.size = 1 + below(random, one_in(random, 8) ? 3'000'000 : 300'000);
  plan.url = server.url + "/bytes/" + std::to_string(plan.size);
  plan.url += "?seed=" + std::to_string(plan.seed);
  if (one_in(random, 8)) {
    plan.cut = below(random, plan.size + 1);
    plan.url += "&cut_after=" + std::to_string(*plan.cut);
  } else if (one_in(random, 8)) {
    plan.never = true;
    plan.url += "&stall_after=" + std::to_string(below(random, plan.size));
  } else if (one_in(random, 16)) {
    plan.never = true;
    plan.url = server.url + "/hang";
  }
  plan.reading = static_cast<Plan::Reading>(below(random, 4));
  plan.enough = below(random, plan.size + 1);
  plan.patience = std::chrono::microseconds(below(random, 3'000));
  return plan;
}

/// Who may end an exchange from outside.
struct Stops {
  std::stop_source request, read;
};

/// What was wrong with one exchange; "" if nothing was.
Coroutine<std::string> run(Client& client, Plan plan, Stops stops) {
  std::uint64_t count = 0;
  try {
    // A hang becomes an error that is not allowed; what never comes is given up soon.
    const auto limit = plan.never ? 50ms : 60'000ms;
    auto pending = client.async_fetch(
        plan.url,
        {.stop = stops.request.get_token(), .total_timeout = limit, .version = plan.version});
    Response response = co_await pending;
    Reader reader = response.body.reader();
    for (;;) {
      std::optional<weir::Chunk> chunk;
      if (plan.reading == Plan::Reading::in_time) {
        const auto deadline = std::chrono::steady_clock::now() + plan.patience;
        ReadResult result = co_await reader.async_read_until(deadline, stops.read.get_token());
        if (result.status == ReadStatus::end) break;
        if (result.status == ReadStatus::stopped) stops.read = std::stop_source();
        chunk = std::move(result.chunk);
      } else {
        chunk = co_await reader.async_read(stops.read.get_token());
        if (!chunk) break;
      }
      if (pattern::check(plan.seed, count, chunk->bytes())) co_return "wrong bytes";
      count += chunk->size();
      if (plan.reading == Plan::Reading::then_drop && count >= plan.enough) co_return "";
      if (plan.reading == Plan::Reading::then_cancel && count >= plan.enough) reader.cancel();
    }
  } catch (const weir::Error& error) {
    const bool stopped = stops.request.stop_requested() || stops.read.stop_requested() ||
                         plan.reading == Plan::Reading::then_cancel;
    if (error.code() == errc::aborted && stopped) co_return "";
    if (error.code() == errc::timed_out && plan.never) co_return "";
    if (error.code() == errc::truncated && plan.cut && count == *plan.cut) co_return "";
    co_return std::string("threw ") + error.what() + ": " + error.detail() + " after " +
        std::to_string(count);
  }
  if (plan.never || (plan.cut && *plan.cut < plan.size)) co_return "ended well";
  if (count != plan.size) co_return "ended after " + std::to_string(count);
  co_return "";
}

/// Many exchanges at the same time on one client, in coroutines that are resumed by an executor on
/// this thread, or on the client's own.
class Crowd {
 public:
  Crowd(Client& client, const std::vector<Server>& servers, std::uint64_t seed, Executor* executor)
      : client_(client), servers_(servers), random_(seed), executor_(executor) {}

  /// Runs `count` exchanges to their end, which may be ours; what was wrong with them.
  std::vector<std::string> run_all(int count) {
    for (int left = count; left > 0;) {
      auto& slot = slots_[below(random_, slots_.size())];
      if (!slot) {
        slot.emplace(start());
      } else if (slot->coroutine.done()) {
        finish(*slot);
        slot.reset();
        --left;
      } else {
        disturb(slot);
        if (!slot) --left;
      }
      if (executor_ != nullptr) executor_->run_one_within(100us);
    }
    return end_all();
  }
  int dropped() const noexcept { return dropped_; }

 private:
  struct Slot {
    Plan plan;
    Stops stops;
    Coroutine<std::string> coroutine;
  };

  Slot start() {
    const Plan plan = draw(random_, servers_);
    const Stops stops;
    return {plan, stops, run(client_, plan, stops)};
  }
  void finish(Slot& slot) {
    const std::string problem = slot.coroutine.get();
    if (!problem.empty()) problems_.push_back(slot.plan.url + ": " + problem);
  }
  void disturb(std::optional<Slot>& slot) {
    if (one_in(random_, 400)) slot->stops.request.request_stop();
    if (one_in(random_, 400)) slot->stops.read.request_stop();
    // Only who resumes coroutines can tell that one is suspended.
    if (executor_ == nullptr || !one_in(random_, 100)) {
      std::this_thread::yield();
      return;
    }
    const auto handle = slot->coroutine.handle();
    slot.reset();
    executor_->forget(handle);
    ++dropped_;
  }
  std::vector<std::string> end_all() {
    for (auto& slot : slots_) {
      if (!slot) continue;
      while (executor_ != nullptr && !slot->coroutine.done()) executor_->run_one();
      finish(*slot);
      slot.reset();
    }
    return problems_;
  }

  Client& client_;
  const std::vector<Server>& servers_;
  Random random_;
  Executor* const executor_;
  std::array<std::optional<Slot>, kCoroutines> slots_;
  std::vector<std::string> problems_;
  int dropped_ = 0;
};

std::uint64_t fresh_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace

TEST_SUITE_BEGIN("stress");

TEST_CASE("Coroutines: 64 that read, drop, stop and cancel at random leave nothing behind") {
  const ServerProcess plain(false, true);
  const ServerProcess tls(true, true);
  const std::vector<Server> servers{{plain.url(), HttpVersion::http1},
                                    {plain.url(), HttpVersion::http2_prior_knowledge},
                                    {tls.url(), HttpVersion::http1},
                                    {tls.url(), HttpVersion::http2}};
  const int count = sized(600, 6'000, 60'000);
  ClientOptions options;
  options.tls.ca_pem = tls.ca();
  options.high_water = std::size_t{128} << 10;
  options.unread_high_water = std::size_t{32} << 10;
  options.memory_budget = std::size_t{2} << 20;
  Client(options).fetch(tls.url("/status/200"));  // what libraries open once
  const Resources before;
  for (const bool here : {true, false}) {
    const std::uint64_t seed = fresh_seed();
    CAPTURE(here);
    CAPTURE(seed);
    {
      Executor executor;
      if (here) options.resume_on = executor.resume_on();
      Client client(options);
      Crowd crowd(client, servers, seed, here ? &executor : nullptr);
      for (const auto& problem : crowd.run_all(count)) CHECK(problem == "");
      CHECK(executor.waiting() == 0);
      CHECK(is_clean(client));
      const ClientStats stats = client.stats();
      MESSAGE("seed ", seed, ": ", stats.requests, " requests, ", crowd.dropped(), " dropped, ",
              stats.connections_opened, " connections, ", stats.pauses, " pauses, ", stats.resumes,
              " resumes, ", stats.cancelled_while_paused,
              " cancelled while paused, peak of queue memory ", stats.peak_queue_memory);
      CHECK(stats.pauses > 0);
      options.resume_on = nullptr;
    }
    CHECK(back_to(before));
  }
}

TEST_CASE("Coroutines: a client's end in the midst of them aborts all, and nothing is left") {
  const ServerProcess plain(false, true);
  const std::vector<Server> servers{{plain.url(), HttpVersion::http1},
                                    {plain.url(), HttpVersion::http2_prior_knowledge}};
  Client().fetch(plain.url("/status/200"));  // what libraries open once
  const Resources before;
  const std::uint64_t seed = fresh_seed();
  MESSAGE("seed ", seed);
  Random random(seed);
  for (int round = 0; round < sized(30, 200, 2'000); ++round) {
    auto client = std::make_unique<Client>();
    std::vector<std::pair<Stops, Coroutine<std::string>>> all;
    for (std::size_t i = 0; i < kCoroutines / 4; ++i) {
      const Stops stops;
      all.emplace_back(stops, run(*client, draw(random, servers), stops));
    }
    // Until some of them are done.
    const std::uint64_t some = below(random, 8);
    (void)eventually([&] {
      return static_cast<std::uint64_t>(std::count_if(
                 all.begin(), all.end(), [](auto& one) { return one.second.done(); })) >= some;
    });
    for (auto& one : all) one.first.request.request_stop();  // then aborted is as it should be
    client.reset();
    bool done = true;
    for (auto& one : all) {
      done = done && one.second.done();
      CHECK(one.second.get() == "");
    }
    CHECK(done);
  }
  CHECK(back_to(before));
}

TEST_SUITE_END();
