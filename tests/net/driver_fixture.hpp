#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "net/driver.hpp"

namespace weir::test {

/// A complete request with generous timeouts.
inline net::Request request(std::string method, std::string url) {
  net::Request made;
  made.method = std::move(method);
  made.url = std::move(url);
  made.headers_timeout = std::chrono::seconds(60);
  made.idle_timeout = std::chrono::seconds(60);
  return made;
}
inline net::Request get(std::string url) { return request("GET", std::move(url)); }
inline net::Request post(std::string url, std::string body) {
  net::Request made = request("POST", std::move(url));
  made.has_body = true;
  made.body = std::move(body);
  return made;
}

/// What came of an exchange.
struct Outcome {
  std::optional<errc> error;
  std::string detail;
  bool retryable = false;
  int status = 0;
  std::string body;
};

/// A curl driver and what the API layer does with it, without the API layer.
class DriverFixture {
 public:
  explicit DriverFixture(const ClientOptions& options = {}, net::TraceSink* trace = nullptr)
      : driver_(net::make_curl_driver(options, trace)) {}

  std::shared_ptr<net::Exchange> make(net::Request what, flow::Watermarks marks = {}) const {
    return std::make_shared<net::Exchange>(driver_->hub(), marks, std::move(what));
  }
  std::shared_ptr<net::Exchange> start(net::Request what, flow::Watermarks marks = {}) {
    auto exchange = make(std::move(what), marks);
    driver_->start(exchange);
    ++started_;
    return exchange;
  }
  /// Waits for the response and all of its body.
  static Outcome finish(net::Exchange& exchange) {
    Outcome outcome;
    try {
      exchange.wait_open(flow::Wait::for_ever());
      outcome.status = exchange.head.status;
      while (const auto result = exchange.take(std::size_t{1} << 20, flow::Wait::for_ever())) {
        outcome.body += result.chunk.text();
      }
    } catch (const Error& error) {
      outcome.error = error.failure().code;
      outcome.detail = error.detail();
      outcome.retryable = error.retryable();
    }
    return outcome;
  }
  Outcome run(net::Request what) { return finish(*start(std::move(what))); }

  ClientStats stats() const { return driver_->stats(); }
  net::Driver& driver() noexcept { return *driver_; }

  /// Waits until the counters are as `condition` wants them. False: 10 s passed.
  template <class Condition>
  bool wait_for(Condition condition) const {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition(stats())) {
      if (std::chrono::steady_clock::now() > limit) return false;
      std::this_thread::yield();
    }
    return true;
  }
  /// Waits until everything that was started is over.
  bool wait_until_idle() const {
    return wait_for(
        [this](const ClientStats& now) { return now.requests >= started_ && now.active == 0; });
  }

 private:
  std::uint64_t started_ = 0;
  std::unique_ptr<net::Driver> driver_;
};

}  // namespace weir::test
