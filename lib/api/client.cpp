#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "api/channel_stream.hpp"
#include "api/client_state.hpp"
#include "api/decoding_stream.hpp"
#include "api/integrity_stream.hpp"
#include "api/pending.hpp"
#include "weir/fetch.hpp"

namespace weir {
namespace detail {
namespace {

std::shared_ptr<TraceRing> make_trace(const ClientOptions& options,
                                      const std::shared_ptr<flow::Continuations>& continuations) {
  return options.trace ? std::make_shared<TraceRing>(options.trace, continuations) : nullptr;
}

}  // namespace

Response receive(std::unique_ptr<ChannelStream> stream) {
  net::Head& head = stream->wait_for_head();
  Response response;
  response.status = head.status;
  response.headers = std::move(head.headers);
  response.url = std::move(head.url);
  response.version = head.version;
  response.timings = head.timings;
  response.redirected = stream->request().redirects > 0;
  const std::string integrity = std::move(stream->integrity);
  response.body = Body(verified(decoded(std::move(stream), response.headers), integrity));
  return response;
}

ClientState::ClientState(const ClientOptions& options)
    : defaults_(check_options(options)),
      stopped_{std::make_shared<flow::Continuations>(options.resume_on)},
      trace_(make_trace(options, stopped_.continuations)),
      driver_(net::make_curl_driver(options, trace_.get())) {}

ClientState::ClientState(std::unique_ptr<net::Driver> driver, const ClientOptions& options)
    : defaults_(check_options(options)),
      stopped_{std::make_shared<flow::Continuations>(options.resume_on)},
      trace_(nullptr),
      driver_(std::move(driver)) {}

std::unique_ptr<ChannelStream> ClientState::start(std::string_view url, RequestInit init,
                                                  Caller caller) try {
  const flow::Watermarks marks = make_marks(init, defaults_);
  auto exchange =
      std::make_shared<net::Exchange>(driver_->hub(), marks, make_request(url, init, defaults_));
  auto stream =
      std::make_unique<ChannelStream>(exchange, std::move(init.stop), stopped_.continuations);
  stream->integrity = std::move(init.integrity);
  if (caller == Caller::waits) {
    driver_->start_and_wait(std::move(exchange));
  } else {
    driver_->start(std::move(exchange));
  }
  return stream;
} catch (const Error& error) {
  if (!error.url().empty()) throw;
  Failure failure = error.failure();
  failure.url = url;
  throw Error(std::move(failure));
}

std::unique_ptr<Pending> ClientState::begin(std::string_view url, RequestInit init) {
  try {
    return std::make_unique<Pending>(start(url, std::move(init), Caller::goes_on));
  } catch (const Error&) {
    return std::make_unique<Pending>(std::current_exception());
  }
}

std::unique_ptr<Pending> ClientLink::begin(std::string_view url, RequestInit init) {
  const std::lock_guard lock(mutex_);
  return client_ == nullptr ? nullptr : client_->begin(url, std::move(init));
}

bool ClientLink::gone() const noexcept {
  const std::lock_guard lock(mutex_);
  return client_ == nullptr;
}

void ClientLink::cut() noexcept {
  const std::lock_guard lock(mutex_);
  client_ = nullptr;
}

void ClientState::abandon() noexcept {
  stopped_.continuations->abandon();
  driver_->stop();
}

}  // namespace detail

Client::Client(ClientOptions options) : state_(std::make_unique<detail::ClientState>(options)) {}

Client::Client(std::unique_ptr<detail::ClientState> state) : state_(std::move(state)) {}

Client::~Client() = default;

Response Client::fetch(std::string_view url, RequestInit init) {
  using detail::ClientState;
  return detail::receive(state_->start(url, std::move(init), ClientState::Caller::waits));
}

ClientStats Client::stats() const { return state_->stats(); }

}  // namespace weir
