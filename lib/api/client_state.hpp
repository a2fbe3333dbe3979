#pragma once

#include <memory>
#include <string_view>

#include "api/channel_stream.hpp"
#include "api/request_check.hpp"
#include "api/trace_ring.hpp"
#include "flow/continuations.hpp"
#include "net/driver.hpp"
#include "weir/fetch.hpp"

namespace weir::detail {

/// What is behind a Client: its driver, its continuation thread, and what it adds to each request.
///
/// Thread-safety: all members from any thread. `start()` touches nothing of this object once its
/// request was started, so that destruction may abort it.
class ClientState {
 public:
  explicit ClientState(const ClientOptions& options);
  /// On another transport.
  ClientState(std::unique_ptr<net::Driver> driver, const ClientOptions& options);

  enum class Caller { goes_on, waits };
  /// Sends a request; its head is still to come. Throws Error.
  std::unique_ptr<ChannelStream> start(std::string_view url, RequestInit init, Caller caller);
  /// The same, with the Error put into the result.
  std::unique_ptr<Pending> begin(std::string_view url, RequestInit init);
  ClientStats stats() const { return driver_->stats(); }
  /// When the process exits: what is under way is aborted, but nobody is told who is not blocked.
  void abandon() noexcept;

 private:
  const RequestDefaults defaults_;
  struct Stopped {
    ~Stopped() { continuations->stop(); }
    const std::shared_ptr<flow::Continuations> continuations;
  };

  const Stopped stopped_;                   // after the driver, which is destroyed first
  const std::shared_ptr<TraceRing> trace_;  // null: nobody listens
  const std::unique_ptr<net::Driver> driver_;
};

/// Waits for the head of a response and puts the body behind it. Throws Error.
Response receive(std::unique_ptr<ChannelStream> stream);

/// Reaches into a Client.
struct ClientAccess {
  static Client make(std::unique_ptr<ClientState> state) { return Client(std::move(state)); }
  static ClientState& state(Client& client) noexcept { return *client.state_; }
};

}  // namespace weir::detail
