#pragma once

#include <curl/curl.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "api/client_state.hpp"
#include "base/ascii.hpp"
#include "contract/pattern_driver.hpp"
#include "net/curl_quirks.hpp"
#include "support/coroutine.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

// The transports that every behaviour is run over. Each has a client, and the server that
// answers it: url() of a path, and what the server can tell of the transfers. What differs by
// nature between them they tell themselves:
// - kVersion, which responses arrive by;
// - reuses(): an idle connection is used again. If not, each request opens one;
// - keeps_reset(): the connection of a body that is dropped with a little left, which does not
//   come, is kept.

namespace weir::test {

/// No network: the answers come from memory, on an I/O thread.
class Memory {
 public:
  static constexpr HttpVersion kVersion = HttpVersion::http1;
  static bool reuses() { return true; }
  static bool keeps_reset() { return false; }

  explicit Memory(ClientOptions options = {}) {
    auto driver = std::make_unique<PatternDriver>(options.memory_budget);
    driver_ = driver.get();
    client_.reset(new Client(detail::ClientAccess::make(
        std::make_unique<detail::ClientState>(std::move(driver), options))));
  }

  Client& client() { return *client_; }
  void destroy_client() { client_.reset(); }
  std::string url(std::string_view path) const { return "http://memory" + std::string(path); }
  /// Waits until the server has got `count` requests in all.
  bool wait_for_requests(std::uint64_t count) {
    driver_->wait_for([count](const auto& now) { return now.requests >= count; });
    return true;
  }
  /// Waits until `count` bodies are held up by their readers.
  bool wait_until_blocked(std::size_t count = 1) {
    driver_->settle();
    driver_->wait_for([count](const auto& now) { return now.blocked >= count; });
    return true;
  }
  /// Waits until nothing is under way and no connection but `idle` ones is left.
  bool wait_until_quiet(std::uint64_t idle = 0) {
    driver_->wait_for([idle](const auto& now) { return now.active == 0 && now.idle <= idle; });
    return true;
  }

 private:
  PatternDriver* driver_;  // the client's
  std::unique_ptr<Client> client_;
};

/// A Firehose on the loopback interface.
class Loopback {
 public:
  Loopback(ClientOptions options, const harness::FirehoseOptions& server) : server_(server) {
    if (server.tls) options.tls.ca_pem = server_.ca_pem();
    client_ = std::make_unique<Client>(std::move(options));
  }

  Client& client() { return *client_; }
  harness::Firehose& server() { return server_; }
  void destroy_client() { client_.reset(); }
  std::string url(std::string_view path) const { return server_.url(path); }
  bool wait_for_requests(std::uint64_t count) {
    return server_.wait_for([count](const auto& now) { return now.requests >= count; });
  }
  bool wait_until_blocked(std::size_t count = 1) {
    return server_.wait_until_blocked({.bodies = count});
  }
  bool wait_until_quiet(std::uint64_t idle = 0) {
    // The server notices a connection that was closed a little after the client's count says so.
    return server_.wait_for([idle](const auto& now) { return now.connections_open <= idle; });
  }

 private:
  harness::Firehose server_;
  std::unique_ptr<Client> client_;
};

template <bool kTls>
class Http1Loopback : public Loopback {
 public:
  static constexpr HttpVersion kVersion = HttpVersion::http1;
  static bool reuses() { return true; }
  static bool keeps_reset() { return false; }
  /// How the request's head, as the server shows it, begins, and names a field.
  static std::string request_line(std::string_view path) {
    return "GET " + std::string(path) + " HTTP/1.1\r\n";
  }
  static std::string wire_name(std::string name) { return name; }

  explicit Http1Loopback(ClientOptions options = {})
      : Loopback(std::move(options), {.tls = kTls}) {}
};
using Http1 = Http1Loopback<false>;
using Https1 = Http1Loopback<true>;

/// By ALPN with TLS, by prior knowledge without.
template <bool kTls>
class Http2Loopback : public Loopback {
 public:
  static constexpr HttpVersion kVersion = HttpVersion::http2;
  static bool reuses() {
    return kTls ||
           !net::CurlQuirks::of(curl_version_info(CURLVERSION_NOW)->version_num).h2c_only_once;
  }
  static bool keeps_reset() { return reuses(); }
  static std::string request_line(std::string_view path) {
    return ":path: " + std::string(path) + "\r\n";
  }
  static std::string wire_name(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(), detail::to_lower);
    return name;
  }

  explicit Http2Loopback(ClientOptions options = {})
      : Loopback(over_http2(std::move(options)), {.tls = kTls, .http2 = true}) {}

 private:
  static ClientOptions over_http2(ClientOptions options) {
    options.version = kTls ? HttpVersion::http2 : HttpVersion::http2_prior_knowledge;
    return options;
  }
};
using Http2 = Http2Loopback<true>;
using H2c = Http2Loopback<false>;

#define WEIR_NETWORK_TRANSPORTS Http1, Https1, Http2, H2c
#define WEIR_TRANSPORTS Memory, WEIR_NETWORK_TRANSPORTS

/// Gives way to the other threads until `condition` holds; gives up, false, after very long.
template <class Condition>
bool eventually(Condition condition) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

/// What reading a body to its end brought.
struct Seen {
  std::uint64_t bytes = 0;             // in front of the end or the failure
  std::optional<std::uint64_t> wrong;  // offset of the first byte that is not the pattern's
  std::optional<Error> error;          // how it ended, if not well

  bool operator==(std::uint64_t size) const { return bytes == size && !wrong && !error; }
  std::optional<errc> code() const {
    if (!error) return std::nullopt;
    return static_cast<errc>(error->code().value());
  }
};

/// Reads to the end from where `seen` is.
inline Seen& read_on(Reader& reader, std::uint64_t seed, Seen& seen) {
  try {
    while (const auto chunk = reader.read()) {
      if (!seen.wrong) seen.wrong = harness::pattern::check(seed, seen.bytes, chunk->bytes());
      seen.bytes += chunk->size();
    }
  } catch (const Error& error) {
    seen.error = error;
  }
  return seen;
}

inline Seen read_all(Reader& reader, std::uint64_t seed = 0) {
  Seen seen;
  return read_on(reader, seed, seen);
}

inline Seen read_all(Response& response, std::uint64_t seed = 0) {
  Reader reader = response.body.reader();
  return read_all(reader, seed);
}

inline Coroutine<Seen> read_async(Reader reader, std::uint64_t seed) {
  Seen seen;
  try {
    while (auto chunk = co_await reader.async_read()) {
      if (!seen.wrong) seen.wrong = harness::pattern::check(seed, seen.bytes, chunk->bytes());
      seen.bytes += chunk->size();
    }
  } catch (const Error& error) {
    seen.error = error;
  }
  co_return seen;
}

inline doctest::String toString(const Seen& seen) {
  std::string text = std::to_string(seen.bytes) + " bytes";
  if (seen.wrong) text += ", wrong at " + std::to_string(*seen.wrong);
  if (seen.error) text += std::string(", then ") + seen.error->what();
  return text.c_str();
}

/// The Error that `call` throws.
template <class Call>
std::optional<Error> error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

template <class Call>
std::optional<errc> code_of(Call call) {
  const auto error = error_of(std::move(call));
  if (!error) return std::nullopt;
  return static_cast<errc>(error->code().value());
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

inline bool balanced(const ClientStats& stats) {
  return stats.pauses == stats.resumes + stats.cancelled_while_paused + stats.paused;
}

}  // namespace weir::test

TYPE_TO_STRING(weir::test::Memory);
TYPE_TO_STRING(weir::test::Http1);
TYPE_TO_STRING(weir::test::Https1);
TYPE_TO_STRING(weir::test::Http2);
TYPE_TO_STRING(weir::test::H2c);
