#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "resources.hpp"
#include "subprocess.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace weir::test;
using weir::Client;
using weir::Reader;

namespace {

/// Room for so many sockets, in this process and those it starts; how many there is room for.
std::size_t raise_fd_limit(std::size_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(std::max<rlim_t>(limit.rlim_cur, wanted), limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<std::size_t>(limit.rlim_cur);
}

struct Cost {
  double each = 0;               // bytes of RSS for one body
  std::size_t queue_memory = 0;  // of weir's, in all
};

Cost cost_of(std::vector<std::string> words, std::size_t count) {
  Child program(std::move(words));
  std::istringstream line(program.line());
  double before = 0;
  double after = 0;
  Cost cost;
  line >> before >> after >> cost.queue_memory;
  REQUIRE(program.wait() == 0);
  REQUIRE(after >= before);
  cost.each = (after - before) / static_cast<double>(count);
  return cost;
}

}  // namespace

TEST_SUITE_BEGIN("stress");

TEST_CASE("Idle bodies: each costs what it costs plain libcurl, and 6 KiB at most") {
  if (under_sanitizer()) {
    MESSAGE("skipped: RSS means nothing under a sanitizer");
    return;
  }
  const std::size_t count =
      std::min(sized<std::size_t>(200, 2'000, 2'000), raise_fd_limit(4'096) - 100);
  const ServerProcess server;
  const std::string url = server.url("/bytes/1000000?stall_after=100");
  const std::string many = std::to_string(count);
  const Cost plain = cost_of({program_of("WEIR_PLAIN_LIBCURL"), url, many}, count);
  const Cost unread = cost_of({program_of("WEIR_IDLE"), url, many}, count);
  const Cost drained = cost_of({program_of("WEIR_IDLE"), url, many, "drain"}, count);
  MESSAGE(count, " idle bodies, RSS of each: plain libcurl ", plain.each, " bytes, weir unread ",
          unread.each, ", weir drained ", drained.each, "; slabs of the unread ones ",
          unread.queue_memory, " bytes");
  CHECK(unread.each <= plain.each + 6 * 1024);
  CHECK(drained.each <= plain.each + 6 * 1024);
  CHECK(unread.queue_memory <= (count + 1) * (4096 + 64));  // the smallest slab, its header too
  CHECK(drained.queue_memory == 0);
}

TEST_CASE("Idle bodies: one that was read to the last byte holds no queue memory") {
  const ServerProcess server;
  Client client;
  std::vector<Reader> readers;
  for (int i = 0; i < 20; ++i) {
    auto response = client.fetch(server.url("/bytes/1000000?stall_after=300000"));
    readers.push_back(response.body.reader());
    std::vector<std::byte> bytes(300'000);
    REQUIRE(readers.back().read_exactly(bytes) == bytes.size());
    REQUIRE(readers.back().try_read().status == weir::ReadStatus::pending);
  }
  CHECK(client.stats().queue_memory == 0);
  CHECK(client.stats().active == 20);
  readers.clear();
  CHECK(is_clean(client));
}

TEST_SUITE_END();
