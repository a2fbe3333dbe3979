#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flow/channel.hpp"
#include "net/trace.hpp"
#include "weir/fetch.hpp"

namespace weir::net {

/// One request as the driver sees it: checked, complete, without user objects.
struct Request {
  std::string method;
  std::string url;  ///< Absolute http or https URL, as given; may hold userinfo.
  Headers headers;  ///< All fields to send beside those libcurl makes; the client's merged in.
  bool has_body = false;
  std::string body;        ///< Kept until the exchange is over, so that it can be sent again.
  bool replayable = true;  ///< The body can be sent again.
  Redirect redirect = Redirect::follow;
  int max_redirects = 20;
  int redirects = 0;  ///< Followed so far.
  HttpVersion version = HttpVersion::automatic;
  bool decode = true;  ///< For who reads the response: the driver delivers it as sent.
  milliseconds headers_timeout{0};
  milliseconds idle_timeout{0};
  milliseconds total_timeout{0};
  milliseconds consumer_timeout{0};
};

/// A response's head, complete before the Channel opens.
struct Head {
  int status = 0;
  Headers headers;
  std::string url;  ///< Without credentials.
  HttpVersion version = HttpVersion::http1;
  Timings timings;
  std::optional<std::uint64_t> length;  ///< Body bytes, if the response has said.
};

/// One request and its response: the Channel of the body with what precedes and follows it.
///
/// `request` and `head` belong to io from Driver::start() until open(), which finds there the last
/// of the requests that redirects led to; then to the reader. `trailers` belong to io until end(),
/// then to the reader.
class Exchange final : public flow::Channel {
 public:
  Exchange(std::shared_ptr<flow::Hub> hub, flow::Watermarks marks, Request what)
      : Channel(std::move(hub), marks), request(std::move(what)) {}

  Request request;
  Head head;
  Headers trailers;
};

/// Carries exchanges out, redirects included. The only thing the API layer knows of a transport.
///
/// Destruction aborts every exchange under way and waits for the I/O thread.
/// Thread-safety: all members from any thread.
class Driver {
 public:
  virtual ~Driver() = default;

  /// Starts `exchange`; its Channel reports everything that follows. Cancelling the Channel ends
  /// it. After the driver was stopped the exchange fails with aborted.
  /// Throws std::bad_alloc.
  virtual void start(std::shared_ptr<Exchange> exchange) = 0;
  /// As start(), by a thread that waits for the head next: until it is there, or the exchange has
  /// failed, that thread may do the I/O thread's work.
  virtual void start_and_wait(std::shared_ptr<Exchange> exchange) { start(std::move(exchange)); }
  /// Aborts everything under way and ends the I/O thread; later exchanges fail with aborted.
  virtual void stop() noexcept = 0;
  virtual ClientStats stats() const = 0;
  virtual const std::shared_ptr<flow::Hub>& hub() const noexcept = 0;
};

/// The libcurl driver. `trace` may be null, and must outlive it.
/// Throws Error resource_exhausted, unsupported or invalid_argument.
std::unique_ptr<Driver> make_curl_driver(const ClientOptions& options, TraceSink* trace = nullptr);

/// Throws Error invalid_argument unless `url` is an absolute http or https URL with a host.
void check_url(const std::string& url);

}  // namespace weir::net
