// idle_weir URL COUNT [drain]: what COUNT idle bodies cost a program that uses weir. Prints
// "<bytes of RSS before> <after> <queue memory>" once every body has begun. With `drain`
// it first reads what has arrived.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "support/memory.hpp"
#include "weir/weir.hpp"

namespace {

// The body has begun when the first of its bytes have arrived; only a read waits for them.
void wait_for_bytes(const weir::Client& client, std::uint64_t total) {
  while (client.stats().bytes_received < total) {
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) return 2;
  const std::size_t count = std::strtoull(argv[2], nullptr, 10);
  const bool drain = argc > 3;
  weir::Client client;
  std::vector<weir::Response> responses;
  std::vector<weir::Reader> readers;
  responses.reserve(count + 1);
  readers.reserve(count + 1);
  std::size_t before = 0;
  std::uint64_t each = 0;  // bytes that arrive of one body
  for (std::size_t i = 0; i <= count; ++i) {
    if (i == 1) before = weir::test::rss();  // the first one warms up
    responses.push_back(client.fetch(argv[1]));
    if (drain) {
      readers.push_back(responses.back().body.reader());
      if (!readers.back().read() || readers.back().try_read()) return 1;
      continue;
    }
    if (i == 0) wait_for_bytes(client, 1);
    if (i == 0) each = client.stats().bytes_received;
    wait_for_bytes(client, each * (i + 1));
  }
  std::printf("%zu %zu %zu\n", before, weir::test::rss(), client.stats().queue_memory);
  std::fflush(stdout);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "idle_weir: %s\n", error.what());
  return 1;
}
