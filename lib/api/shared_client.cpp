#include <unistd.h>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "api/client_state.hpp"
#include "weir/error.hpp"
#include "weir/fetch.hpp"

namespace weir {
namespace {

std::atomic<Client*> shared{nullptr};  // set once: release pairs with the acquire at exit
pid_t owner = 0;                       // written before `shared`

// The client's threads exist in the process that made it only: a forked child has none to stop.
void stop_at_exit() {
  Client* const client = shared.load(std::memory_order_acquire);
  if (client != nullptr && owner == getpid()) detail::ClientAccess::state(*client).abandon();
}

/// Its driver comes first: what libcurl and OpenSSL registered to run at exit then runs after
/// our I/O thread has ended.
Client& make_shared() {
  auto client = std::make_unique<Client>();
  if (std::atexit(stop_at_exit) != 0) {
    throw Error({.code = errc::resource_exhausted, .detail = "atexit() failed"});
  }
  owner = getpid();
  shared.store(client.get(), std::memory_order_release);
  return *client.release();
}

Client& shared_client() {
  static Client& client = make_shared();
  return client;
}

}  // namespace

Response fetch(std::string_view url, RequestInit init) {
  return shared_client().fetch(url, std::move(init));
}

PendingResponse async_fetch(std::string_view url, RequestInit init) {
  return shared_client().async_fetch(url, std::move(init));
}

PendingGet async_fetch(std::string_view url) { return shared_client().async_fetch(url); }

}  // namespace weir
