#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <map>
#include <mutex>
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
using weir::HttpVersion;
using weir::Reader;
using weir::RequestInit;
using weir::Response;
namespace pattern = weir::harness::pattern;

namespace {

constexpr std::size_t kThreads = 8;

struct Server {
  std::string url;
  HttpVersion version;
};

/// A request, and how it may end.
struct Plan {
  std::string kind;
  std::string path;
  RequestInit init;
  std::optional<std::uint64_t> size;  // of the body, where it must be whole and right
  std::uint64_t seed = 0;
  std::vector<errc> allowed;  // beside success
};

/// How requests ended, by kind.
struct Tally {
  std::map<std::string, std::uint64_t> ended;
  std::vector<std::string> wrong;

  std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (const auto& [kind, count] : ended) sum += count;
    return sum;
  }
};

/// What another thread may cancel at any moment.
class Target {
 public:
  void set(std::stop_source stop) {
    const std::lock_guard lock(mutex_);
    stop_ = std::move(stop);
  }
  void set(Reader* reader) {
    const std::lock_guard lock(mutex_);
    reader_ = reader;
  }
  void cancel(bool by_reader) {
    const std::lock_guard lock(mutex_);
    if (!by_reader) {
      stop_.request_stop();
    } else if (reader_ != nullptr) {
      reader_->cancel();
    }
  }

 private:
  std::mutex mutex_;
  std::stop_source stop_;
  Reader* reader_ = nullptr;
};

class Mix {
 public:
  Mix(Client& client, const std::vector<Server>& servers, Target& target, std::uint64_t seed)
      : client_(client), servers_(servers), target_(target), random_(seed) {}

  /// One random exchange.
  void run() {
    const Server& server = servers_[below(servers_.size())];
    Plan plan = draw();
    plan.init.version = server.version;
    std::stop_source stop;
    target_.set(stop);
    if (one_in(2)) plan.init.stop = stop.get_token();  // else it may be driven by this thread
    if (plan.init.total_timeout == 0ms) plan.init.total_timeout = 60s;  // no hang
    if (one_in(8)) {
      plan.init.total_timeout = std::chrono::milliseconds(1 + below(20));
      plan.allowed.push_back(errc::timed_out);
    }
    plan.allowed.push_back(errc::aborted);
    const std::uint64_t before = tally_.total();
    body_.clear();
    try {
      fetch(server.url + plan.path, plan);
    } catch (const weir::Error& error) {
      const errc code = error.failure().code;
      bool allowed = false;
      for (const errc one : plan.allowed) allowed = allowed || code == one;
      if (!allowed) complain(plan, server, error.what());
      if (error.detail() == "stop was requested before the start") return;  // none was
      end(error.code().message());
    }
    if (tally_.total() != before + 1) complain(plan, server, "did not end once");
  }

  Tally& tally() noexcept { return tally_; }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  std::chrono::milliseconds soon() { return std::chrono::milliseconds(1 + below(10)); }
  void end(const std::string& how) { ++tally_.ended[how]; }
  void note(const weir::BodyStats& stats) {
    body_ = " received " + std::to_string(stats.received) + ", drained " +
            std::to_string(stats.drained) + ", queued " + std::to_string(stats.queued) +
            (stats.paused ? ", paused" : "");
  }
  void complain(const Plan& plan, const Server& server, const std::string& what) {
    tally_.wrong.push_back(plan.kind + " " + server.url + plan.path + " by version " +
                           std::to_string(static_cast<int>(server.version)) + ": " + what + body_);
  }

  std::string echo_text(const Plan& plan, std::uint64_t size) const {
    std::string text(static_cast<std::size_t>(size), '\0');
    pattern::fill(plan.seed, 0, std::as_writable_bytes(std::span(text)));
    return text;
  }

  Plan draw() {
    Plan plan;
    plan.seed = below(1000);
    const std::uint64_t size = one_in(4) ? below(1'000'000) : below(40'000);
    const std::string query = "?seed=" + std::to_string(plan.seed);
    const std::string bytes = "/bytes/" + std::to_string(size) + query;
    const auto some = [&] { return std::to_string(below(size + 1)); };
    const auto whole = [&](const char* kind, std::string path) {
      plan.kind = kind;
      plan.path = std::move(path);
      plan.size = size;
    };
    const auto fails = [&](const char* kind, std::string path, std::vector<errc> codes) {
      plan.kind = kind;
      plan.path = std::move(path);
      plan.allowed = std::move(codes);
    };
    constexpr std::array kCodings = {"gzip", "br", "zstd"};
    const std::string encoded = bytes + "&encode=" + kCodings[below(kCodings.size())];
    switch (below(16)) {
      case 0: whole("whole", bytes); break;
      case 1: whole("pieces", bytes + "&chunked=1&write=" + std::to_string(1 + below(5000))); break;
      case 2:
        whole("stalls", bytes + "&stall_ms=" + std::to_string(below(5)) + "&stall_after=" + some());
        break;
      case 3: whole("decoded", encoded); break;
      case 4: fails("cut", bytes + "&cut_after=" + some(), {errc::truncated}); break;
      case 5:
        fails("reset", bytes + "&rst_after=" + some(), {errc::truncated, errc::connection_lost});
        break;
      case 6:
        fails("cut encoded", encoded + "&cut_after=" + std::to_string(below(200)),
              {errc::truncated, errc::decode_failed});
        break;
      case 7:
        // One byte is always wanting: else the response is whole, its connection is used again, and
        // the server says nothing to the next request either.
        fails("silent", "/bytes/" + std::to_string(size + 1) + query + "&stall_after=" + some(),
              {errc::timed_out});
        plan.init.idle_timeout = soon();
        break;
      case 8:
        fails("no head", one_in(2) ? "/hang" : "/drip_headers?ms=1", {errc::timed_out});
        plan.init.headers_timeout = soon();
        break;
      case 9:
        fails("closes",
              std::string("/close?how=") + (one_in(2) ? "fin" : "rst") +
                  (one_in(2) ? "&reused=1" : "") + (one_in(2) ? "&before=blank_line" : ""),
              {errc::connection_lost});
        if (one_in(2)) plan.init.body = "once";
        break;
      case 10:
        whole("redirect", "/redirect/" + std::to_string(1 + below(4)) + "?body=" + some() +
                              "&to=/bytes/" + std::to_string(size) + "%3Fseed%3D" +
                              std::to_string(plan.seed));
        break;
      case 11:
        whole("redirected upload", "/redirect/2?status=307&to=/echo");
        plan.init.body = echo_text(plan, size);
        plan.allowed = {errc::connection_lost};
        break;
      case 12:
        fails("too many", "/redirect/9", {errc::too_many_redirects});
        plan.init.max_redirects = static_cast<int>(below(8));
        break;
      case 13:
      case 14:
        whole("upload", "/echo");
        plan.init.body = echo_text(plan, size);
        plan.allowed = {errc::connection_lost};  // a POST is not sent again
        break;
      default:
        fails("unread", "/bytes/3000000", {errc::consumer_stalled});
        plan.init.consumer_timeout = soon();
        break;
    }
    return plan;
  }

  void fetch(const std::string& url, Plan& plan) {
    if (one_in(2)) return read(client_.fetch(url, std::move(plan.init)), plan);
    auto pending = client_.async_fetch(url, std::move(plan.init));
    if (!one_in(6)) return read(pending.get(), plan);
    if (one_in(2)) std::this_thread::sleep_for(std::chrono::microseconds(below(1000)));
    end("dropped before its head");
  }

  void read(Response response, const Plan& plan) {
    if (one_in(10)) return end("dropped unread");
    Reader reader = response.body.reader();
    target_.set(&reader);
    try {
      end(read(reader, plan));
    } catch (const weir::Error&) {
      target_.set(nullptr);
      note(reader.stats());
      throw;
    }
    target_.set(nullptr);
  }

  std::string read(Reader& reader, const Plan& plan) {
    const std::uint64_t leave_after = one_in(6) ? below(100'000) : ~std::uint64_t{0};
    const bool by_cancel = one_in(2);
    const bool slow = one_in(5);
    if (plan.kind == "unread" && one_in(2)) std::this_thread::sleep_for(2ms);
    std::uint64_t count = 0;
    while (const auto chunk = reader.read()) {
      if (plan.size && pattern::check(plan.seed, count, chunk->bytes()))
        return wrong(plan, "bytes");
      count += chunk->size();
      if (count >= leave_after) {
        if (by_cancel) reader.cancel();
        return by_cancel ? "cancelled" : "dropped";
      }
      if (slow) std::this_thread::sleep_for(std::chrono::microseconds(below(300)));
    }
    if (plan.size && count != *plan.size) return wrong(plan, "size " + std::to_string(count));
    return "ended";
  }
  std::string wrong(const Plan& plan, const std::string& what) {
    tally_.wrong.push_back(plan.kind + " " + plan.path + ": wrong " + what);
    return "wrong";
  }

  Client& client_;
  const std::vector<Server>& servers_;
  Target& target_;
  std::mt19937_64 random_;
  std::string body_;  // of the last failure: what had come
  Tally tally_;
};

/// `each` requests on each of the threads, with somebody who cancels some of them.
Tally run_mix(Client& client, const std::vector<Server>& servers, int each, std::uint64_t seed) {
  std::array<Target, kThreads> targets;
  std::atomic<bool> done{false};
  std::thread canceller([&] {
    std::minstd_rand random(static_cast<std::uint32_t>(seed));
    while (!done.load()) {
      std::this_thread::sleep_for(std::chrono::microseconds(500 + random() % 5'000));
      targets[random() % kThreads].cancel(random() % 2 == 0);
    }
  });
  std::vector<std::future<Tally>> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.push_back(std::async(std::launch::async, [&, t] {
      Mix mix(client, servers, targets[t], seed * 1000 + t);
      for (int i = 0; i < each && mix.tally().wrong.size() < 5; ++i) mix.run();
      return std::move(mix.tally());
    }));
  }
  Tally all;
  for (auto& thread : threads) {
    Tally one = thread.get();
    for (const auto& [how, count] : one.ended) all.ended[how] += count;
    for (auto& problem : one.wrong) all.wrong.push_back(std::move(problem));
  }
  done.store(true);
  canceller.join();
  return all;
}

}  // namespace

TEST_SUITE_BEGIN("stress");

TEST_CASE(
    "Mixed: requests of all kinds over every protocol, with faults and cancels, leave nothing") {
  const std::uint64_t seed = std::random_device()() % 1'000'000;
  MESSAGE("seed ", seed);
  CAPTURE(seed);
  const ServerProcess plain;
  const ServerProcess tls(true);
  const ServerProcess http2(true, true);
  const ServerProcess h2c(false, true);
  const std::vector<Server> servers{{plain.url(), HttpVersion::http1},
                                    {tls.url(), HttpVersion::http1},
                                    {http2.url(), HttpVersion::http2},
                                    {h2c.url(), HttpVersion::http2_prior_knowledge}};
  ClientOptions options;
  options.tls.ca_pem = tls.ca() + http2.ca();
  options.high_water = std::size_t{128} << 10;
  options.unread_high_water = std::size_t{32} << 10;
  options.memory_budget = std::size_t{1} << 20;
  {
    Client warm(options);  // what libraries allocate once, and for each of these threads
    CHECK(run_mix(warm, servers, 20, seed + 1).wrong.empty());
  }
  const Resources before;
  {
    Client client(options);
    const Tally tally = run_mix(client, servers, sized(50, 1'250, 12'500), seed);
    for (const auto& problem : tally.wrong) CHECK(problem == "");
    std::string ends;
    for (const auto& [how, count] : tally.ended) ends += how + ": " + std::to_string(count) + "; ";
    CHECK(is_clean(client));
    const ClientStats stats = client.stats();
    MESSAGE(ends, stats.connections_opened, " connections, ", stats.redirects, " redirects, ",
            stats.pauses, " pauses");
    CHECK(tally.total() == stats.requests);
    CHECK(stats.pauses == stats.resumes + stats.cancelled_while_paused);
    CHECK(stats.pauses > 0);
    CHECK(stats.redirects > 0);
    CHECK(stats.peak_queue_memory <= options.memory_budget + kThreads * (std::size_t{128} << 10));
  }
  CHECK(back_to(before));
  const std::size_t heap = heap_in_use();
  MESSAGE("heap in use: ", before.heap, " bytes before, ", heap, " after");
  if (!under_sanitizer()) CHECK(heap < before.heap + (std::size_t{256} << 10));
}

TEST_SUITE_END();
