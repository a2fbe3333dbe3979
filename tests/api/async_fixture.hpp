#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "api/client_state.hpp"
#include "support/coroutine.hpp"
#include "support/fake_driver.hpp"
#include "weir/weir.hpp"

namespace weir::test {

inline constexpr const char* kUrl = "http://user:secret@localhost/path?query";
inline constexpr const char* kShown = "http://localhost/path?query";

/// A Client whose server, and whose I/O thread, is the test.
struct AsyncFixture {
  explicit AsyncFixture(const ClientOptions& options = {}) {
    auto owned = std::make_unique<FakeDriver>(options.memory_budget);
    driver = owned.get();
    client.reset(new Client(detail::ClientAccess::make(
        std::make_unique<detail::ClientState>(std::move(owned), options))));
  }

  struct Opened {
    Body body;
    FakeTransfer& transfer;
  };
  /// A response whose body is still to come.
  Opened open_body(RequestInit init = {}) {
    auto pending = client->async_fetch(kUrl, std::move(init));
    FakeTransfer& transfer = driver->next();
    transfer.head(200);
    driver->run_until_idle();
    return {pending.get().body, transfer};
  }
  struct OpenBody {
    Reader reader;
    FakeTransfer& transfer;
  };
  OpenBody open(RequestInit init = {}) {
    Opened opened = open_body(std::move(init));
    return {opened.body.reader(), opened.transfer};
  }
  void send(FakeTransfer& transfer, std::string_view bytes) {
    transfer.send(bytes);
    driver->run_until_idle();
  }
  void end(FakeTransfer& transfer) {
    transfer.end();
    driver->run_until_idle();
  }

  FakeDriver* driver;  // the client's
  std::unique_ptr<Client> client;
};

/// The text of one read; nullopt at the end.
inline Coroutine<std::optional<std::string>> read_once(Reader& reader, std::stop_token stop = {}) {
  const auto chunk = co_await reader.async_read(std::move(stop));
  if (!chunk) co_return std::nullopt;
  co_return std::string(chunk->text());
}

inline Coroutine<ReadResult> read_once_until(Reader& reader, Deadline deadline,
                                             std::stop_token stop = {}) {
  co_return co_await reader.async_read_until(deadline, std::move(stop));
}

inline Coroutine<std::string> read_to_end(Reader& reader) {
  std::string all;
  while (const auto chunk = co_await reader.async_read()) all += chunk->text();
  co_return all;
}

/// What is there, without waiting.
inline std::string read_what_is_there(Reader& reader) {
  std::string all;
  while (const ReadResult result = reader.try_read()) all += result.chunk.text();
  return all;
}

}  // namespace weir::test
