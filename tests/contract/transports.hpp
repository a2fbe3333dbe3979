#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "api/client_state.hpp"
#include "contract/pattern_driver.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

// The transports that every behaviour is run over. Each has a client, and the server that
// answers it: url() of a path, and what the server can tell of the transfers.

namespace weir::test {

/// No network: the answers come from memory, on an I/O thread.
class Memory {
 public:
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
  Loopback(ClientOptions options, bool tls) : server_({.tls = tls}) {
    if (tls) options.tls.ca_pem = server_.ca_pem();
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

class Http1 : public Loopback {
 public:
  explicit Http1(ClientOptions options = {}) : Loopback(std::move(options), false) {}
};

class Https1 : public Loopback {
 public:
  explicit Https1(ClientOptions options = {}) : Loopback(std::move(options), true) {}
};

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
