#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "resources.hpp"
#include "slow_lookup.hpp"
#include "support/listener.hpp"
#include "support/proxy_peer.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace std::chrono_literals;
using namespace weir::test;
using weir::Client;
using weir::ClientOptions;
using weir::errc;
using weir::PendingResponse;
using weir::RequestInit;

namespace {

constexpr std::size_t kMost = 16;  // lookups of one client at once

/// A server, and names for it that are found when a SlowLookups goes.
struct Named {
  std::string url(const std::string& host, const std::string& path = "/bytes/4") const {
    const std::string local = server.url(path);
    const auto port = local.find(':', local.find("//") + 2);
    return "http://" + host + local.substr(port);
  }
  std::string slow_url(std::size_t number, const std::string& path = "/bytes/4") const {
    return url("h" + std::to_string(number) + kSlowZone, path);
  }

  weir::harness::Firehose server;
};

RequestInit bounded() { return {.total_timeout = 60s}; }

/// How it ended: "4 bytes", or the error's name and detail.
std::string outcome(PendingResponse& pending) {
  try {
    return std::to_string(pending.get().bytes().size()) + " bytes";
  } catch (const weir::Error& error) {
    return error.code().message() + " | " + error.detail();
  }
}

std::optional<errc> code_of(PendingResponse& pending) {
  try {
    pending.get();
  } catch (const weir::Error& error) {
    return static_cast<errc>(error.code().value());
  }
  return std::nullopt;
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

bool lookups_are_back() {
  return eventually([] { return SlowLookups::under_way() == 0; });
}

/// Has `count` lookups under way, of hosts from `first` on.
std::vector<PendingResponse> crowd(Client& client, const Named& named, std::size_t first = 0,
                                   std::size_t count = kMost) {
  std::vector<PendingResponse> all;
  for (std::size_t i = 0; i < count; ++i)
    all.push_back(client.async_fetch(named.slow_url(first + i), bounded()));
  return all;
}

}  // namespace

TEST_SUITE_BEGIN("stress");

TEST_CASE("Lookups: 50 fetches of one host make one; another host does not wait for it") {
  const Named named;
  Client client;
  std::optional<SlowLookups> slow(std::in_place);
  std::vector<PendingResponse> all;
  for (int i = 0; i < 50; ++i) all.push_back(client.async_fetch(named.slow_url(0), bounded()));
  REQUIRE(eventually([] { return SlowLookups::under_way() == 1; }));
  CHECK(client.fetch(named.server.url("/bytes/4"), bounded()).bytes().size() == 4);
  CHECK(SlowLookups::under_way() == 1);
  slow.reset();
  for (auto& pending : all) CHECK(outcome(pending) == "4 bytes");
  CHECK(SlowLookups::begun() == 1);
  CHECK(is_clean(client));
}

TEST_CASE("Lookups: one that fails has failed for all fetches of that host") {
  Client client;
  std::optional<SlowLookups> slow(std::in_place);
  std::vector<PendingResponse> all;
  for (int i = 0; i < 50; ++i)
    all.push_back(client.async_fetch(std::string("http://") + kSlowHost, bounded()));
  REQUIRE(eventually([&] { return SlowLookups::under_way() == 1 && client.stats().active == 50; }));
  slow.reset();
  for (auto& pending : all) CHECK(code_of(pending) == errc::resolve_failed);
  CHECK(SlowLookups::begun() == 1);
  CHECK(is_clean(client));
  PendingResponse again = client.async_fetch(std::string("http://") + kSlowHost, bounded());
  CHECK(code_of(again) == errc::resolve_failed);
}

TEST_CASE("Lookups: 50 hosts are looked up, at most 16 at once") {
  const Named named;
  Client client;
  const std::size_t threads = thread_count();
  std::optional<SlowLookups> slow(std::in_place);
  auto all = crowd(client, named, 0, 50);
  REQUIRE(eventually([&] { return SlowLookups::under_way() == kMost; }));
  CHECK(client.fetch(named.server.url("/bytes/4"), bounded()).bytes().size() == 4);
  CHECK(SlowLookups::under_way() == kMost);
  CHECK(thread_count() <= threads + kMost);
  slow.reset();
  for (auto& pending : all) CHECK(outcome(pending) == "4 bytes");
  CHECK(SlowLookups::begun() == 50);
  CHECK(SlowLookups::most_at_once() == kMost);
  CHECK(is_clean(client));
}

TEST_CASE("Lookups: a fetch that is dropped ends at once; its lookup goes on for the others") {
  const Named named;
  Client client;
  std::optional<SlowLookups> slow(std::in_place);
  std::optional<PendingResponse> front(client.async_fetch(named.slow_url(1), bounded()));
  REQUIRE(eventually([] { return SlowLookups::under_way() == 1; }));
  PendingResponse behind = client.async_fetch(named.slow_url(1), bounded());
  REQUIRE(eventually([&] { return client.stats().requests == 2; }));
  front.reset();
  CHECK(eventually([&] { return client.stats().active == 1; }));
  CHECK(SlowLookups::under_way() == 1);
  slow.reset();
  CHECK(outcome(behind) == "4 bytes");
  CHECK(SlowLookups::begun() == 1);
  CHECK(is_clean(client));
}

TEST_CASE("Lookups: dropped fetches do not make room for more threads") {
  const Named named;
  Client client;
  std::optional<SlowLookups> slow(std::in_place);
  for (std::size_t round = 0; round < 3; ++round) {
    const auto dropped = crowd(client, named, round * kMost);
    REQUIRE(eventually([&] { return client.stats().requests == (round + 1) * kMost; }));
    REQUIRE(eventually([&] { return SlowLookups::under_way() == kMost; }));
  }
  CHECK(eventually([&] { return client.stats().active == 0; }));
  auto all = crowd(client, named, 3 * kMost);
  CHECK(client.fetch(named.server.url("/bytes/4"), bounded()).bytes().size() == 4);
  CHECK(SlowLookups::most_at_once() == kMost);
  slow.reset();
  for (auto& pending : all) CHECK(outcome(pending) == "4 bytes");
  CHECK(SlowLookups::begun() == 2 * kMost);  // those dropped before their turn had none
  CHECK(is_clean(client));
}

TEST_CASE("Lookups: whoever waits for one, or for its turn, honours its limits and its stop") {
  const Named named;
  ClientOptions options;
  options.connect_timeout = 300ms;
  const std::string path = "/bytes/4";
  struct Row {
    const char* name;
    std::size_t host;  // below kMost: somebody looks it up; above: there is no room
  };
  for (const Row& row : {Row{"first to ask", 1000}, Row{"same host", 0}, Row{"no room", 100}}) {
    CAPTURE(row.name);
    std::optional<SlowLookups> slow(std::in_place);
    Client patient;
    std::vector<PendingResponse> front;
    if (row.host < 1000) front = crowd(patient, named);
    REQUIRE(eventually([&] { return SlowLookups::under_way() == front.size(); }));
    const std::string url = named.slow_url(row.host);
    const auto failure = [&](RequestInit init) {
      PendingResponse pending = patient.async_fetch(url, std::move(init));
      return outcome(pending);
    };
    CHECK(contains(failure({.headers_timeout = 20ms}), "headers_timeout"));
    CHECK(contains(failure({.total_timeout = 20ms}), "total_timeout"));
    CHECK(contains(failure({.body = "x", .headers_timeout = 20ms}), "headers_timeout"));
    std::stop_source stop;
    PendingResponse stopped = patient.async_fetch(url, {.stop = stop.get_token()});
    REQUIRE(eventually([&] { return patient.stats().requests == front.size() + 4; }));
    stop.request_stop();
    CHECK(code_of(stopped) == errc::aborted);
    CHECK(eventually([&] { return patient.stats().active == front.size(); }));

    Client hasty(options);
    auto others = crowd(hasty, named);
    PendingResponse pending = hasty.async_fetch(url, bounded());
    CHECK(contains(outcome(pending), "connect_timeout (300 ms)"));
    for (auto& other : others) CHECK(contains(outcome(other), "connect_timeout (300 ms)"));
    CHECK(is_clean(hasty));
    slow.reset();
    for (auto& other : front) CHECK(outcome(other) == "4 bytes");
    CHECK(lookups_are_back());
  }
}

TEST_CASE("Lookups: a client that goes waits for none of them, and tells everybody") {
  const Named named;
  const std::size_t threads = thread_count();
  {
    std::optional<Client> client(std::in_place);
    const SlowLookups slow;
    auto all = crowd(*client, named, 0, 40);
    for (int i = 0; i < 10; ++i) all.push_back(client->async_fetch(named.slow_url(0), bounded()));
    std::optional<PendingResponse> dropped(client->async_fetch(named.slow_url(3), bounded()));
    REQUIRE(eventually([&] { return client->stats().requests == 51; }));
    REQUIRE(eventually([&] { return SlowLookups::under_way() == kMost; }));
    dropped.reset();
    all.erase(all.begin());
    client.reset();
    CHECK(SlowLookups::under_way() == kMost);
    for (auto& pending : all) CHECK(code_of(pending) == errc::aborted);
  }
  CHECK(lookups_are_back());
  CHECK(eventually([&] { return thread_count() <= threads; }));
}

TEST_CASE("Lookups: a thread that drives its own fetch is held as anyone else") {
  const Named named;
  Client client;
  std::optional<SlowLookups> slow(std::in_place);
  {
    const PendingResponse dropped = client.async_fetch(named.slow_url(7), bounded());
    REQUIRE(eventually([] { return SlowLookups::under_way() == 1; }));
  }
  REQUIRE(eventually([&] { return client.stats().active == 0; }));
  std::string words;
  try {
    static_cast<void>(client.fetch(named.slow_url(7), {.headers_timeout = 20ms}));
  } catch (const weir::Error& error) {
    words = error.detail();
  }
  CHECK(contains(words, "headers_timeout (20 ms)"));
  slow.reset();
  CHECK(client.fetch(named.slow_url(7), bounded()).bytes().size() == 4);
  CHECK(SlowLookups::begun() == 1);
  CHECK(is_clean(client));
}

TEST_CASE("Lookups: one that fails after its fetch was dropped leaves nothing of that behind") {
  constexpr std::size_t kSize = std::size_t{16} << 20;
  Client client;
  std::optional<SlowLookups> slow(std::in_place);
  const Resources before;
  {
    const PendingResponse dropped =
        client.async_fetch(std::string("http://") + kSlowHost,
                           {.body = std::string(kSize, 'x'), .total_timeout = 60s});
    REQUIRE(eventually([] { return SlowLookups::under_way() == 1; }));
  }
  slow.reset();
  CHECK(lookups_are_back());
  CHECK(is_clean(client));
  if (under_sanitizer()) {
    MESSAGE("SKIPPED: the heap says nothing under a sanitizer");
    return;
  }
  CHECK(eventually([&] { return heap_in_use() < before.heap + kSize / 2; }));
}

TEST_CASE("Lookups: for a SOCKS proxy one is over with its request, not with the response") {
  const Named named;
  const ProxyPeer proxy;
  ClientOptions options;
  options.proxy = proxy.url("socks5");
  Client client(options);
  std::optional<SlowLookups> slow(std::in_place);
  std::optional<PendingResponse> front(
      client.async_fetch(named.slow_url(0, "/bytes/64000000000"), bounded()));
  REQUIRE(eventually([] { return SlowLookups::under_way() == 1; }));
  PendingResponse behind = client.async_fetch(named.slow_url(0), bounded());
  REQUIRE(eventually([&] {  // it is held, and has left its connection
    const auto now = client.stats();
    return now.connections_opened == 2 && now.connections_open == 1;
  }));
  slow.reset();
  std::optional<weir::Response> response(front->get());
  CHECK(outcome(behind) == "4 bytes");
  CHECK(SlowLookups::begun() == 1);
  response.reset();
  CHECK(eventually([&] { return client.stats().connections_open == 1; }));  // an idle one
  CHECK(is_clean(client));
}

TEST_CASE(
    "Lookups: for a SOCKS proxy one goes with the fetch that is dropped, and its connection") {
  const Named named;
  const ProxyPeer proxy;
  ClientOptions options;
  options.proxy = proxy.url("socks5");
  Client client(options);
  std::optional<SlowLookups> slow(std::in_place);
  {
    const PendingResponse dropped = client.async_fetch(named.slow_url(0), bounded());
    REQUIRE(eventually([] { return SlowLookups::under_way() == 1; }));
  }
  CHECK(eventually([&] { return client.stats().connections_open == 0; }));
  PendingResponse next = client.async_fetch(named.slow_url(0), bounded());
  REQUIRE(eventually([] { return SlowLookups::under_way() == 2; }));
  slow.reset();
  CHECK(outcome(next) == "4 bytes");
  CHECK(is_clean(client));
}

TEST_SUITE_END();
