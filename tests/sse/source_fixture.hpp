#pragma once

#include <chrono>
#include <optional>
#include <string_view>
#include <thread>

#include "api/async_fixture.hpp"
#include "weir/weir.hpp"

namespace weir::test {

using State = EventSource::State;

inline const Headers kEvents = {{"Content-Type", "text/event-stream"}};

/// The server of one EventSource.
struct Server : AsyncFixture {
  using AsyncFixture::AsyncFixture;

  FakeTransfer& accept(std::string_view bytes = {}) {
    FakeTransfer& transfer = driver->next();
    transfer.head(200, kEvents);
    if (!bytes.empty()) transfer.send(bytes);
    driver->run_until_idle();
    return transfer;
  }
  FakeTransfer& answer(int status, const Headers& headers = {}) {
    FakeTransfer& transfer = driver->next();
    transfer.head(status, headers);
    transfer.end();
    driver->run_until_idle();
    return transfer;
  }
  void fail(FakeTransfer& transfer, errc code) {
    transfer.fail({.code = code});
    driver->run_until_idle();
  }
};

inline EventSourceOptions quick() {
  EventSourceOptions options;
  options.retry = std::chrono::milliseconds(1);
  options.max_retry = std::chrono::milliseconds(1);
  return options;
}

inline EventSourceOptions once() {
  EventSourceOptions options;
  options.reconnect = Reconnect::never;
  return options;
}

inline void wait_for(const EventSource& events, State state) {
  while (events.state() != state) std::this_thread::yield();
}

template <class Call>
std::optional<Error> error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

}  // namespace weir::test
