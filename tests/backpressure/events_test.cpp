#include <doctest/doctest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backpressure/checked.hpp"
#include "backpressure/serve_process.hpp"
#include "backpressure/wire.hpp"
#include "support/memory.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;

// Server-sent events and memory, silence and numbers.

namespace {

using SteadyClock = std::chrono::steady_clock;

std::size_t start_measuring() {
  trim_heap();
  reset_peak_rss();
  return rss();
}

/// The process's memory at its highest since `before`, less what it was then.
std::size_t growth_since(std::size_t before) {
  const std::size_t peak = peak_rss();
  return peak > before ? peak - before : 0;
}

void check_growth(const char* what, std::size_t growth, std::size_t most) {
  MESSAGE(std::string(what), ": RSS grew ", mib(growth));
  if (!under_sanitizer()) CHECK(growth < most);
}

/// Takes one event a millisecond until the end; how many.
std::uint64_t read_slowly(EventSource& events) {
  std::uint64_t count = 0;
  while (events.next()) {
    ++count;
    let_pass(1ms);
  }
  return count;
}

std::optional<errc> failure_of(EventSource& events) {
  try {
    while (events.next()) {
    }
  } catch (const Error& error) {
    return static_cast<errc>(error.code().value());
  }
  return std::nullopt;
}

/// A network of the calling thread's own, and of those it starts: a loopback interface that can be
/// cut, whereupon packets are lost without a word.
class OwnNetwork {
 public:
  /// Why there is none; empty: there is.
  const std::string& problem() const noexcept { return problem_; }

  OwnNetwork() {
    if (::unshare(CLONE_NEWNET) != 0) {
      problem_ = std::string("unshare: ") + std::strerror(errno);
    } else if (!set_up(true)) {
      problem_ = std::string("no loopback interface: ") + std::strerror(errno);
    }
  }
  static bool set_up(bool up) {
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    bool done = ::ioctl(socket, SIOCGIFFLAGS, &request) == 0;
    const int flags = up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP;
    request.ifr_flags = static_cast<short>(flags);
    done = done && ::ioctl(socket, SIOCSIFFLAGS, &request) == 0;
    ::close(socket);
    return done;
  }

 private:
  std::string problem_;
};

/// What happened when the network was cut behind an event, and was there again once that had been
/// noticed.
struct Vanished {
  std::string skipped{};
  bool kept = false;  // the connection, before
  SteadyClock::duration noticed_after{};
  std::optional<errc> lost{};
  std::string next{};  // data of the event after it
};

Vanished vanish(milliseconds idle_timeout) {
  const OwnNetwork network;
  if (!network.problem().empty()) return {.skipped = network.problem()};
  const harness::Firehose server;
  Client client;
  Vanished seen;
  std::atomic<int> losses{0};
  SteadyClock::time_point cut;
  EventSourceOptions options;
  options.idle_timeout = idle_timeout;
  options.retry = options.max_retry = 20ms;
  options.on_disconnect = [&](const Error& error) {
    if (losses++ > 0) return;
    seen.noticed_after = SteadyClock::now() - cut;
    seen.lost = static_cast<errc>(error.code().value());
    OwnNetwork::set_up(true);  // the continuation thread is in the same network
  };
  EventSource events(client, server.url("/sse?ids=1&interval_ms=3600000&heartbeat_ms=10"),
                     std::move(options));
  events.next();
  events.next_until(SteadyClock::now() + 3 * idle_timeout);  // heartbeats keep it
  seen.kept = losses == 0;
  cut = SteadyClock::now();
  OwnNetwork::set_up(false);
  if (const auto event = events.next()) seen.next = event->data;
  return seen;
}

}  // namespace

TEST_SUITE_BEGIN("backpressure");

TEST_CASE("Events: a burst for a slow consumer is held by the server, or dropped and counted") {
  const std::uint64_t many = sized<std::uint64_t>(300, 3000, 10'000);
  for (const Protocol& protocol : kProtocols) {
    CAPTURE(protocol.name);
    ServeProcess server(protocol.tls, protocol.http2());
    ClientOptions client_options;
    client_options.tls.ca_pem = server.ca_pem();
    client_options.version = protocol.version;
    Client client(client_options);
    CHECK(client.fetch(server.url("/bytes/1000000")).bytes().size() == 1'000'000);
    const std::string url =
        server.url("/sse?burst=1&size=4000&events=" + std::to_string(many));  // 40 MB, of 10,000
    for (const Overflow overflow : {Overflow::block, Overflow::drop_oldest}) {
      EventSourceOptions options;
      options.reconnect = Reconnect::never;
      options.overflow = overflow;
      options.max_pending_events = 100;
      const std::size_t before = start_measuring();
      EventSource events(client, url, std::move(options));
      const std::uint64_t delivered = read_slowly(events);
      CHECK(delivered + events.dropped() == many);
      CHECK(events.stats().events == delivered);
      if (overflow == Overflow::block) CHECK(events.dropped() == 0);
      check_growth(protocol.name, growth_since(before), 6 * kMiB);
    }
  }
}

TEST_CASE("Events: 1 GiB without a line's end is refused at the limit, in bounded memory") {
  const std::uint64_t size = sized<std::uint64_t>(64, 256, 1024) * kMiB;
  const ServeProcess server(false, false);
  Client client;
  CHECK(client.fetch(server.url("/bytes/1000000")).bytes().size() == 1'000'000);
  for (const std::string& path :
       {"/bytes/" + std::to_string(size) + "?zeros=1&encode=gzip&content_type=text/event-stream",
        "/sse?size=" + std::to_string(64 * kMiB)}) {
    CAPTURE(path);
    const std::size_t before = start_measuring();
    EventSource events(client, server.url(path));
    CHECK(failure_of(events) == errc::too_large);
    // The line as a string that grows: three times its limit, and the queue.
    check_growth("a line of 16 MiB", growth_since(before), 56 * kMiB);
  }
}

TEST_CASE("Events: a swallowed FIN is noticed after idle_timeout") {
  if (under_sanitizer()) {
    MESSAGE("not run: it asserts time");
    return;
  }
  const harness::Firehose server;
  Client client;
  const milliseconds idle_timeout = sized(200ms, 500ms, 3000ms);
  SteadyClock::time_point lost{};
  EventSourceOptions options;
  options.idle_timeout = idle_timeout;
  options.retry = options.max_retry = 1ms;
  options.on_disconnect = [&](const Error&) { lost = SteadyClock::now(); };
  EventSource events(client, server.url("/sse?events=2&ids=1&close_after=1&swallow_fin=1"),
                     std::move(options));
  CHECK(events.next()->data == "0");
  const auto seen = SteadyClock::now();
  CHECK(events.next()->data == "1");
  const auto silence = std::chrono::duration<double>(lost - seen);
  MESSAGE("noticed after ", silence.count(), " s of silence");
  CHECK(silence > idle_timeout * 0.9);
  CHECK(silence < idle_timeout * 1.1);
}

TEST_CASE("Events: a peer behind a network that loses packets is noticed, and then asked again") {
  const milliseconds idle_timeout = sized(300ms, 500ms, 3000ms);
  Vanished seen;
  std::thread([&] { seen = vanish(idle_timeout); }).join();  // a thread has one network
  if (!seen.skipped.empty()) {
    MESSAGE("not run: ", seen.skipped);
    return;
  }
  CHECK(seen.kept);
  CHECK(seen.lost == errc::timed_out);
  CHECK(seen.next == "1");
  CHECK(seen.noticed_after > 0.9 * idle_timeout);
  if (!under_sanitizer()) CHECK(seen.noticed_after < 1.1 * idle_timeout);
}

TEST_CASE("Events: 2,000 sources on one client cost little memory, and no thread") {
  constexpr std::size_t kEach = 40 * 1024;
  const std::size_t many = sized<std::size_t>(100, 2000, 2000);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const ServeProcess server(false, false);
  Client client;
  std::vector<std::unique_ptr<EventSource>> all;
  const auto add = [&] {
    all.push_back(std::make_unique<EventSource>(
        client, server.url("/sse?ids=1&close_after=1&swallow_fin=1&heartbeat_ms=10000")));
  };
  const auto all_open = [&] {
    return std::all_of(all.begin(), all.end(), [](const auto& events) {
      return events->state() == EventSource::State::open;
    });
  };
  add();
  CHECK(all.front()->next()->data == "0");
  const std::size_t threads = thread_count();
  const std::size_t before = start_measuring();
  while (all.size() <= many) add();
  std::size_t events = 0;
  for (std::size_t i = 1; i < all.size(); ++i) events += all[i]->next().has_value();
  CHECK(events == many);
  CHECK(all_open());
  CHECK(thread_count() == threads);
  CHECK(client.stats().requests == many + 1);
  const std::size_t each = (rss() - before) / many;
  MESSAGE(many, " sources: ", each, " bytes of RSS each");
  if (!under_sanitizer()) CHECK(each < kEach);
  all.clear();
}

TEST_SUITE_END();
