#pragma once

#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "api/channel_stream.hpp"
#include "api/request_check.hpp"
#include "api/trace_ring.hpp"
#include "flow/continuations.hpp"
#include "net/driver.hpp"
#include "weir/fetch.hpp"

namespace weir::detail {

class ClientState;

/// The way to a ClientState for those who may outlive it.
/// Thread-safety: all members from any thread.
class ClientLink {
 public:
  explicit ClientLink(ClientState& client) noexcept : client_(&client) {}

  /// As ClientState::begin(); null once the client goes.
  std::unique_ptr<Pending> begin(std::string_view url, RequestInit init);
  bool gone() const noexcept;
  void cut() noexcept;

 private:
  mutable std::mutex mutex_;  // held while a request is started, which waits for nothing
  ClientState* client_;
};

/// What is behind a Client: its driver, its continuation thread, and what it adds to each request.
///
/// Thread-safety: all members from any thread. `start()` touches nothing of this object once its
/// request was started, so that destruction may abort it.
class ClientState {
 public:
  explicit ClientState(const ClientOptions& options);
  /// On another transport.
  ClientState(std::unique_ptr<net::Driver> driver, const ClientOptions& options);

  ClientState(const ClientState&) = delete;
  ClientState& operator=(const ClientState&) = delete;
  ~ClientState() { link_->cut(); }

  enum class Caller { goes_on, waits };
  /// Sends a request; its head is still to come. Throws Error.
  std::unique_ptr<ChannelStream> start(std::string_view url, RequestInit init, Caller caller);
  /// The same, with the Error put into the result.
  std::unique_ptr<Pending> begin(std::string_view url, RequestInit init);
  ClientStats stats() const { return driver_->stats(); }
  const std::shared_ptr<ClientLink>& link() const noexcept { return link_; }
  const std::shared_ptr<flow::Continuations>& continuations() const noexcept {
    return stopped_.continuations;
  }
  /// When the process exits: what is under way is aborted, but nobody is told who is not blocked.
  void abandon() noexcept;

 private:
  const RequestDefaults defaults_;
  struct Stopped {
    ~Stopped() { continuations->stop(); }
    const std::shared_ptr<flow::Continuations> continuations;
  };

  const std::shared_ptr<ClientLink> link_ = std::make_shared<ClientLink>(*this);
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
