#pragma once

#include <chrono>
#include <cstddef>
#include <thread>

#include "support/memory.hpp"
#include "weir/fetch.hpp"

namespace weir::test {

/// Waits until `condition` holds. False: `limit` passed first.
template <class Condition>
bool eventually(Condition condition, std::chrono::seconds limit = std::chrono::seconds(20)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

/// What a client may leave behind.
struct Resources {
  std::size_t fds = open_fds();
  std::size_t threads = thread_count();
  std::size_t heap = heap_in_use();
};

/// Waits until this process has no more descriptors and threads than `before`.
inline bool back_to(const Resources& before) {
  return eventually([&] { return open_fds() <= before.fds && thread_count() <= before.threads; });
}

/// Waits until nothing is under way; true if nothing is held any more and every pause is
/// accounted for.
inline bool is_clean(const Client& client) {
  const bool idle = eventually([&] { return client.stats().active == 0; });
  const ClientStats now = client.stats();
  return idle && now.queue_memory == 0 && now.paused == 0 &&
         now.pauses == now.resumes + now.cancelled_while_paused;
}

}  // namespace weir::test
