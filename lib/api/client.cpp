#include <memory>
#include <string>
#include <utility>

#include "api/channel_stream.hpp"
#include "api/client_state.hpp"
#include "weir/fetch.hpp"

namespace weir {
namespace detail {
namespace {

/// Waits for the head of a response and puts the body behind it.
Response receive(std::unique_ptr<ChannelStream> stream) {
  net::Head& head = stream->wait_for_head();
  Response response;
  response.status = head.status;
  response.headers = std::move(head.headers);
  response.url = std::move(head.url);
  response.version = head.version;
  response.timings = head.timings;
  response.body = Body(std::move(stream));
  return response;
}

}  // namespace

ClientState::ClientState(const ClientOptions& options)
    : defaults_(check_options(options)), driver_(net::make_curl_driver(options)) {}

ClientState::ClientState(std::unique_ptr<net::Driver> driver, const ClientOptions& options)
    : defaults_(check_options(options)), driver_(std::move(driver)) {}

Response ClientState::fetch(std::string_view url, RequestInit init) try {
  const flow::Watermarks marks = make_marks(init, defaults_);
  auto exchange =
      std::make_shared<net::Exchange>(driver_->hub(), marks, make_request(url, init, defaults_));
  auto stream = std::make_unique<ChannelStream>(exchange, std::move(init.stop));
  driver_->start(std::move(exchange));
  return receive(std::move(stream));
} catch (const Error& error) {
  if (!error.url().empty()) throw;
  Failure failure = error.failure();
  failure.url = url;
  throw Error(std::move(failure));
}

}  // namespace detail

Client::Client(ClientOptions options) : state_(std::make_unique<detail::ClientState>(options)) {}

Client::Client(std::unique_ptr<detail::ClientState> state) : state_(std::move(state)) {}

Client::~Client() = default;

Response Client::fetch(std::string_view url, RequestInit init) {
  return state_->fetch(url, std::move(init));
}

ClientStats Client::stats() const { return state_->stats(); }

}  // namespace weir
