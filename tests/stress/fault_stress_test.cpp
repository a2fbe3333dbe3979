#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "resources.hpp"
#include "subprocess.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace std::chrono_literals;
using namespace weir::test;
using weir::Client;
using weir::ClientOptions;
using weir::ClientStats;
using weir::errc;
using weir::Reader;
using weir::RequestInit;
using weir::Response;
namespace pattern = weir::harness::pattern;

namespace {

constexpr int kThreads = 8;

/// A request, and how it may end.
struct Plan {
  std::string path;
  RequestInit init;
  std::optional<std::uint64_t> size;  // of the body, where it must be right
  std::uint64_t seed = 0;
  std::vector<errc> allowed;  // beside success
};

class Chaos {
 public:
  Chaos(Client& client, const std::vector<std::string>& servers, unsigned seed)
      : client_(client), servers_(servers), random_(seed) {}

  /// One random exchange; what was wrong with it.
  std::string run() {
    Plan plan = draw();
    std::stop_source stop;
    plan.init.stop = stop.get_token();
    plan.init.total_timeout = 30s;  // a hang becomes an error that is not allowed
    if (one_in(4)) {
      plan.init.total_timeout = std::chrono::milliseconds(1 + below(20));
      plan.allowed.push_back(errc::timed_out);
    }
    std::thread stopper;
    if (one_in(4)) {
      plan.allowed.push_back(errc::aborted);
      stopper = std::thread([stop, delay = below(2000)]() mutable {
        std::this_thread::sleep_for(std::chrono::microseconds(delay));
        stop.request_stop();
      });
    }
    const std::string where = servers_[below(servers_.size())] + plan.path;
    std::string wrong;
    try {
      wrong = read(client_.fetch(where, std::move(plan.init)), plan);
    } catch (const weir::Error& error) {
      bool allowed = false;
      for (const errc code : plan.allowed) allowed = allowed || error.failure().code == code;
      if (!allowed) wrong = error.what();
    }
    if (stopper.joinable()) stopper.join();
    return wrong.empty() ? wrong : plan.path + ": " + wrong;
  }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

  Plan draw() {
    Plan plan;
    plan.seed = below(1000);
    const std::uint64_t size = one_in(3) ? below(2'000'000) : below(50'000);
    const std::string bytes =
        "/bytes/" + std::to_string(size) + "?seed=" + std::to_string(plan.seed);
    const auto some = [&] { return std::to_string(below(size + 1)); };
    switch (below(10)) {
      case 0:
        plan.path = bytes + "&cut_after=" + some();
        plan.allowed = {errc::truncated};
        break;
      case 1:
        plan.path = bytes + "&rst_after=" + some();
        plan.allowed = {errc::truncated, errc::connection_lost};
        break;
      case 2:
        plan.path = bytes + "&stall_after=" + some() + "&stall_ms=" + std::to_string(below(5));
        plan.size = size;
        break;
      case 3:
        plan.path = bytes + "&stall_after=" + some();
        plan.init.idle_timeout = std::chrono::milliseconds(1 + below(20));
        plan.allowed = {errc::timed_out};
        break;
      case 4: plan.path = "/redirect/" + std::to_string(1 + below(3)) + "?body=" + some(); break;
      case 5:
        plan.path = one_in(2) ? "/hang" : "/drip_headers?ms=1";
        plan.init.headers_timeout = std::chrono::milliseconds(1 + below(10));
        plan.allowed = {errc::timed_out};
        break;
      case 6:
        plan.path = std::string("/close?reused=1&how=") + (one_in(2) ? "fin" : "rst");
        plan.allowed = {errc::connection_lost};
        break;
      case 7:
        plan.path = "/echo";
        plan.init.body = echo_text(plan.seed, static_cast<std::size_t>(size));
        plan.size = size;
        break;
      case 8:
        plan.path = bytes + "&chunked=1&write=" + std::to_string(1 + below(5000));
        plan.size = size;
        break;
      default:
        plan.path = bytes;
        plan.size = size;
        break;
    }
    // A reused connection may turn out closed, and a POST is not sent again.
    if (plan.path == "/echo") plan.allowed = {errc::connection_lost};
    return plan;
  }

  static std::string echo_text(std::uint64_t seed, std::size_t size) {
    std::string text(size, '\0');
    pattern::fill(seed, 0, std::as_writable_bytes(std::span(text)));
    return text;
  }

  std::string read(Response response, const Plan& plan) {
    if (one_in(10)) return {};  // dropped unread
    Reader reader = response.body.reader();
    const std::uint64_t leave_after = one_in(5) ? below(100'000) : ~std::uint64_t{0};
    const bool by_cancel = one_in(2);
    const bool slow = one_in(4);
    std::uint64_t count = 0;
    while (const auto chunk = reader.read()) {
      if (plan.size && pattern::check(plan.seed, count, chunk->bytes())) return "wrong bytes";
      count += chunk->size();
      if (count >= leave_after) {
        if (by_cancel) reader.cancel();
        return {};
      }
      if (slow) std::this_thread::sleep_for(std::chrono::microseconds(below(300)));
    }
    if (plan.size && count != *plan.size) return "ended after " + std::to_string(count) + " bytes";
    return {};
  }

  Client& client_;
  const std::vector<std::string>& servers_;
  std::mt19937_64 random_;
};

}  // namespace

TEST_SUITE_BEGIN("stress");

TEST_CASE(
    "Faults: what eight threads do to cut, reset, stalled and cancelled bodies leaves nothing") {
  const ServerProcess plain;
  const ServerProcess tls(true);
  const std::vector<std::string> servers{plain.url(), tls.url()};
  const int each = sized(60, 600, 4'000);
  ClientOptions options;
  options.tls.ca_pem = tls.ca();
  options.high_water = std::size_t{128} << 10;
  options.unread_high_water = std::size_t{32} << 10;
  options.memory_budget = std::size_t{1} << 20;
  Client(options).fetch(tls.url("/status/200"));  // what libraries open once
  const Resources before;
  std::vector<std::string> problems;
  {
    Client client(options);
    std::vector<std::future<std::vector<std::string>>> threads;
    for (unsigned t = 0; t < kThreads; ++t) {
      threads.push_back(std::async(std::launch::async, [&client, &servers, each, t] {
        std::vector<std::string> wrong;
        Chaos chaos(client, servers, 1000 + t);
        for (int i = 0; i < each && wrong.size() < 5; ++i) {
          if (auto problem = chaos.run(); !problem.empty()) wrong.push_back(std::move(problem));
        }
        return wrong;
      }));
    }
    for (auto& thread : threads) {
      for (auto& problem : thread.get()) problems.push_back(std::move(problem));
    }
    for (const auto& problem : problems) CHECK(problem == "");
    CHECK(is_clean(client));
    const ClientStats stats = client.stats();
    MESSAGE(stats.requests, " requests, ", stats.connections_opened, " connections, ", stats.pauses,
            " pauses, ", stats.resumes, " resumes, ", stats.cancelled_while_paused,
            " cancelled while paused, peak of queue memory ", stats.peak_queue_memory);
    CHECK(stats.pauses > 0);
    CHECK(stats.peak_queue_memory <= options.memory_budget + kThreads * (std::size_t{128} << 10));
  }
  CHECK(back_to(before));
}

TEST_SUITE_END();
