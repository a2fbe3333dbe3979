#pragma once

#include <memory>
#include <string_view>

#include "api/request_check.hpp"
#include "net/driver.hpp"
#include "weir/fetch.hpp"

namespace weir::detail {

/// What is behind a Client: its driver, and what it adds to each request.
///
/// Thread-safety: all members from any thread. `fetch()` touches nothing of this object once its
/// request was started, so that destruction may abort it.
class ClientState {
 public:
  explicit ClientState(const ClientOptions& options);
  /// On another transport.
  ClientState(std::unique_ptr<net::Driver> driver, const ClientOptions& options);

  Response fetch(std::string_view url, RequestInit init);
  ClientStats stats() const { return driver_->stats(); }
  void stop() noexcept { driver_->stop(); }

 private:
  const RequestDefaults defaults_;
  const std::unique_ptr<net::Driver> driver_;
};

/// Reaches into a Client.
struct ClientAccess {
  static Client make(std::unique_ptr<ClientState> state) { return Client(std::move(state)); }
  static ClientState& state(Client& client) noexcept { return *client.state_; }
};

}  // namespace weir::detail
