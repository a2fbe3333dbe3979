#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "resources.hpp"
#include "slow_lookup.hpp"
#include "subprocess.hpp"
#include "support/listener.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace std::chrono_literals;
using namespace weir::test;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;
using weir::Client;
using weir::ClientOptions;
using weir::errc;
using weir::Reader;
using weir::Response;

namespace {

enum class Place { server, silent_port, mute_tls, slow_name };

enum class Way {
  stop,
  reader_cancel,
  reader_drop,
  body_cancel,
  body_drop,
  response_drop,
  client_drop
};

constexpr const char* kWays[] = {"stop token", "Reader::cancel", "~Reader", "Body::cancel",
                                 "~Body",      "~Response",      "~Client"};

/// Where an exchange is when it is cancelled.
struct Phase {
  const char* name;
  Place place;
  const char* path;
  bool answered = true;  // the response is there
  std::size_t read = 0;  // bytes that were read by then
  bool paused = false;
  bool ended = false;  // the end was read too
};

struct Row {
  Phase phase;
  Way way;
  bool raced = false;  // the cancel comes while another thread waits or reads
};

constexpr Phase kLookup{"name lookup", Place::slow_name, "/", false};
constexpr Phase kConnecting{"connecting", Place::silent_port, "/", false};
constexpr Phase kHandshake{"TLS handshake", Place::mute_tls, "/", false};
constexpr Phase kWaiting{"waiting for headers", Place::server, "/hang", false};
constexpr Phase kDripping{"dripping headers", Place::server, "/drip_headers?ms=1", false};
constexpr Phase kUnread{"unread", Place::server, "/bytes/1000000000"};
constexpr Phase kFlowing{"flowing", Place::server, "/bytes/1000000000", true, 100'000};
constexpr Phase kPaused{"paused", Place::server, "/bytes/1000000000", true, 1, true};
constexpr Phase kPausedUnread{"paused unread", Place::server, "/bytes/1000000000", true, 0, true};
constexpr Phase kStalled{"in a silent body", Place::server, "/bytes/9000?stall_after=10", true, 10};
constexpr Phase kAtEnd{"at the end", Place::server, "/bytes/20000", true, 20'000};
constexpr Phase kEnded{"after the end", Place::server, "/bytes/20000", true, 20'000, false, true};

const std::vector<Row> kRows = {
    {kLookup, Way::stop, true},
    {kConnecting, Way::stop, true},
    {kConnecting, Way::client_drop, true},
    {kHandshake, Way::stop, true},
    {kHandshake, Way::client_drop, true},
    {kWaiting, Way::stop, true},
    {kWaiting, Way::client_drop, true},
    {kDripping, Way::stop, true},
    {kDripping, Way::client_drop, true},
    {kUnread, Way::stop},
    {kUnread, Way::body_cancel},
    {kUnread, Way::body_drop},
    {kUnread, Way::response_drop},
    {kUnread, Way::client_drop},
    {kUnread, Way::body_cancel, true},
    {kFlowing, Way::stop},
    {kFlowing, Way::reader_cancel},
    {kFlowing, Way::reader_drop},
    {kFlowing, Way::client_drop},
    {kFlowing, Way::stop, true},
    {kFlowing, Way::reader_cancel, true},
    {kFlowing, Way::client_drop, true},
    {kPaused, Way::stop},
    {kPaused, Way::reader_cancel},
    {kPaused, Way::reader_drop},
    {kPaused, Way::client_drop},
    {kPausedUnread, Way::body_cancel},
    {kPausedUnread, Way::response_drop},
    {kStalled, Way::stop, true},
    {kStalled, Way::reader_cancel, true},
    {kStalled, Way::client_drop, true},
    {kAtEnd, Way::stop},
    {kAtEnd, Way::reader_cancel},
    {kAtEnd, Way::reader_drop},
    {kEnded, Way::stop},
    {kEnded, Way::reader_cancel},
    {kEnded, Way::reader_drop},
    {kEnded, Way::client_drop},
};

/// What one cancel took, and what was wrong with it.
struct Sample {
  nanoseconds call{};      // the cancelling call itself
  nanoseconds released{};  // from its begin until the other thread's wait ended
  std::string wrong;
};

/// How a call ended: nullopt if it returned.
template <class Call>
std::optional<errc> failure_of(Call call) {
  try {
    call();
    return std::nullopt;
  } catch (const weir::Error& error) {
    return error.failure().code;
  }
}

class Cancels {
 public:
  Cancels() : mute_(4096) {}

  std::unique_ptr<Client> make_client() const {
    ClientOptions options;
    options.high_water = std::size_t{64} << 10;
    options.unread_high_water = std::size_t{32} << 10;
    options.tls.ca_pem = tls_.ca();
    return std::make_unique<Client>(options);
  }

  /// Cancels one exchange of `shared`, or of a client of its own if that is what goes.
  Sample run(const Row& row, Client& shared) {
    std::unique_ptr<Client> own;
    if (row.way == Way::client_drop) own = make_client();
    Client& client = own ? *own : shared;
    std::optional<SlowLookups> slow;
    if (row.phase.place == Place::slow_name) slow.emplace();
    Sample sample =
        row.phase.answered ? cancel_body(row, client, own) : cancel_wait(row, client, own);
    if (row.phase.place == Place::mute_tls) mute_.turn_away();
    return sample;
  }

 private:
  std::string url(const Phase& phase) {
    switch (phase.place) {
      case Place::silent_port: return silent_.url();
      case Place::mute_tls: return mute_.url("/", "https");
      case Place::slow_name:  // a new one: its lookup may outlive the request
        return "http://h" + std::to_string(++names_) + kSlowZone + phase.path;
      case Place::server: break;
    }
    return (random_() % 2 == 0 ? plain_ : tls_).url(phase.path);
  }

  // Up to 1 ms: the cancel comes anywhere in what happens meanwhile.
  void wait_a_little() {
    const auto end = steady_clock::now() + std::chrono::microseconds(random_() % 1000);
    while (steady_clock::now() < end) std::this_thread::yield();
  }

  template <class Call>
  static Sample timed(Call call) {
    const auto begin = steady_clock::now();
    call();
    return {steady_clock::now() - begin, {}, {}};
  }

  /// `cancel` while another thread runs `wait`, which must end as aborted.
  template <class Wait, class Ready, class Cancel>
  Sample race(Wait wait, Ready ready, Cancel cancel) {
    std::optional<errc> ended;
    steady_clock::time_point released;
    std::thread waiting([&] {
      ended = failure_of(wait);
      released = steady_clock::now();
    });
    const bool there = ready();
    wait_a_little();
    const auto begin = steady_clock::now();
    Sample sample = timed(cancel);
    waiting.join();
    sample.released = released - begin;
    if (ended != errc::aborted) sample.wrong = "the wait did not end as aborted";
    if (!there) sample.wrong = "the exchange never began";
    return sample;
  }

  Sample cancel_wait(const Row& row, Client& client, std::unique_ptr<Client>& own) {
    const std::string where = url(row.phase);
    std::stop_source stop;
    const auto before = client.stats().requests;
    // A Client may go once the exchange was begun; a stop may come at any time.
    const bool any_time = row.way == Way::stop && random_() % 2 == 0;
    return race(
        [&] { (void)client.fetch(where, {.stop = stop.get_token()}); },
        [&] { return any_time || eventually([&] { return client.stats().requests > before; }); },
        [&] {
          if (row.way == Way::stop)
            stop.request_stop();
          else
            own.reset();
        });
  }

  Sample cancel_body(const Row& row, Client& client, std::unique_ptr<Client>& own) {
    std::stop_source stop;
    std::optional<Response> response(client.fetch(url(row.phase), {.stop = stop.get_token()}));
    std::optional<Reader> reader;
    const bool by_body =
        row.way == Way::body_cancel || row.way == Way::body_drop || row.way == Way::response_drop;
    if (!by_body) reader.emplace(response->body.reader());
    std::string wrong = advance(row.phase, *response, reader);

    const auto cancel = [&] {
      switch (row.way) {
        case Way::stop: stop.request_stop(); break;
        case Way::reader_cancel: reader->cancel(); break;
        case Way::reader_drop: reader.reset(); break;
        case Way::body_cancel: response->body.cancel(); break;
        case Way::body_drop: response->body = weir::Body(); break;
        case Way::response_drop: response.reset(); break;
        case Way::client_drop: own.reset(); break;
      }
    };
    const auto read_on = [&] {
      if (reader) {
        while (reader->read()) {
        }
      } else {
        (void)response->body.bytes(std::numeric_limits<std::size_t>::max());
      }
    };
    Sample sample = row.raced ? race(
                                    read_on, [] { return true; }, cancel)
                              : timed(cancel);
    const bool readable = reader || (response && !response->body.used());
    if (!row.raced && readable && row.way != Way::body_drop) {
      const auto ended = failure_of(read_on);
      if (row.phase.ended ? ended.has_value() : ended != errc::aborted) {
        wrong = "a later read was not as it should be";
      }
    }
    if (!wrong.empty()) sample.wrong = std::move(wrong);
    return sample;
  }

  /// Brings the body to where it shall be cancelled; what went wrong.
  static std::string advance(const Phase& phase, Response& response,
                             std::optional<Reader>& reader) {
    std::vector<std::byte> bytes(phase.read);
    if (phase.read > 0 && reader->read_exactly(bytes) != phase.read) return "too short a body";
    if (phase.ended && reader->read()) return "too long a body";
    const auto stats = [&] { return reader ? reader->stats() : response.body.stats(); };
    if (phase.paused && !eventually([&] { return stats().paused; })) return "it never paused";
    return {};
  }

  ServerProcess plain_;
  ServerProcess tls_{true};
  SilentPort silent_;
  Listener mute_;  // completes connects, and says nothing
  std::mt19937 random_{1};
  unsigned names_ = 0;
};

struct Figures {
  nanoseconds max{}, p99{};
};

Figures figures_of(std::vector<nanoseconds> all) {
  std::sort(all.begin(), all.end());
  return {all.back(), all[all.size() * 99 / 100]};
}

double ms(nanoseconds time) { return std::chrono::duration<double, std::milli>(time).count(); }

/// Cancels `each` times in every row; what each took.
std::vector<Sample> cancel_all(Cancels& cancels, Client& client, int each) {
  std::vector<Sample> samples;
  for (const Row& row : kRows) {
    for (int i = 0; i < each; ++i) {
      Sample sample = cancels.run(row, client);
      if (!sample.wrong.empty()) {
        sample.wrong = std::string(row.phase.name) + ", " + kWays[static_cast<int>(row.way)] +
                       (row.raced ? ", raced: " : ": ") + sample.wrong;
      }
      samples.push_back(std::move(sample));
    }
  }
  return samples;
}

}  // namespace

TEST_SUITE_BEGIN("stress");

TEST_CASE("Cancel: returns at once in every phase, by every means, and leaves nothing behind") {
  Cancels cancels;
  cancel_all(cancels, *cancels.make_client(), 2);  // what libraries allocate once
  const Resources before;

  const int total = sized(400, 2'000, 10'000);
  const int each = (total + static_cast<int>(kRows.size()) - 1) / static_cast<int>(kRows.size());
  auto client = cancels.make_client();
  std::vector<nanoseconds> calls, releases;
  for (const Sample& sample : cancel_all(cancels, *client, each)) {
    CHECK(sample.wrong == "");
    calls.push_back(sample.call);
    if (sample.released.count() != 0) releases.push_back(sample.released);
  }
  CHECK(is_clean(*client));
  client.reset();
  CHECK(back_to(before));

  const auto count = calls.size();
  const Figures call = figures_of(std::exchange(calls, {}));
  const Figures release = figures_of(std::exchange(releases, {}));
  MESSAGE(count, " cancels: the call took ", ms(call.p99), " ms (p99), ", ms(call.max),
          " ms (max); a blocked wait ended after ", ms(release.p99), " ms (p99), ", ms(release.max),
          " ms (max)");
  CHECK(count >= static_cast<std::size_t>(total));
  if (under_sanitizer()) return;
  CHECK(ms(call.max) < 100);
  CHECK(ms(release.max) < 100);
  const std::size_t heap = heap_in_use();
  MESSAGE("heap in use: ", before.heap, " bytes before, ", heap, " after");
  // Libraries keep something for each thread that calls them, which may come later: some 28 KiB,
  // after 2,000 cancels as after 10,000.
  CHECK(heap < before.heap + (std::size_t{64} << 10));
}

TEST_CASE("Cancel: a stop requested before fetch() starts nothing") {
  const ServerProcess server;
  Client client;
  std::stop_source stop;
  stop.request_stop();
  for (int i = 0; i < 100; ++i) {
    const auto ended =
        failure_of([&] { (void)client.fetch(server.url("/bytes/1"), {.stop = stop.get_token()}); });
    REQUIRE(ended == errc::aborted);
  }
  CHECK(client.stats().connections_opened == 0);
  CHECK(is_clean(client));
}

TEST_SUITE_END();
