#pragma once

#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "weir/awaiter.hpp"
#include "weir/body.hpp"
#include "weir/export.hpp"
#include "weir/reader.hpp"

namespace weir {

namespace sse {
class EventPull;
}

/// One server-sent event.
/// Spec: WHATWG HTML section 9.2.6.
struct Event {
  std::string type = "message";
  std::string data{};  ///< UTF-8; the values of its `data` fields, joined by line feeds.
  std::string id{};    ///< The last `id` seen in the stream, in this event or before.
};

/// What is refused, with Error too_large. They also bound the memory: see `EventStream`.
struct SseLimits {
  std::size_t line = std::size_t{16} << 20;   ///< bytes, without the line's end
  std::size_t event = std::size_t{16} << 20;  ///< bytes of `data` and `type` together
  /// Bytes. Every event carries a copy, and a reconnection sends it as a header field, which
  /// servers seldom take above 8 KiB.
  std::size_t id = std::size_t{8} << 10;
};

/// What a read brought that does not have to bring an event.
struct EventResult {
  ReadStatus status{};
  Event event{};
  /// True if there is one.
  explicit operator bool() const noexcept { return status == ReadStatus::data; }
};

/// What `co_await events.async_next()` waits with; `EventStream` describes it.
class [[nodiscard]] WEIR_API AsyncNext : public detail::Awaiter {
 public:
  std::optional<Event> await_resume();

 private:
  friend class EventStream;
  AsyncNext(sse::EventPull& pull, std::stop_token stop) noexcept;

  sse::EventPull& pull_;
};

/// What `co_await events.async_next_until(...)` waits with; `EventStream` describes it.
class [[nodiscard]] WEIR_API AsyncNextUntil : public detail::Awaiter {
 public:
  EventResult await_resume();

 private:
  friend class EventStream;
  AsyncNextUntil(sse::EventPull& pull, Deadline deadline, std::stop_token stop) noexcept;

  sse::EventPull& pull_;
  const Deadline deadline_;
};

/// The server-sent events of one body, in order. Looks at neither status nor content type.
///
///     EventStream events(client.fetch(url, {.headers = {{"Accept", "text/event-stream"}}}).body);
///     while (const auto event = events.next()) show(event->data);
///
/// An event is delivered as soon as the empty line after it has arrived. One that is incomplete
/// when the body ends is dropped. Ill-formed UTF-8 becomes U+FFFD.
/// Memory: the body's queue, which stops the server when nobody asks for events; the Chunk that is
/// being parsed, while there are events in it; and the line and event that have begun, together up
/// to `SseLimits::line` + `event` bytes, at most six times that while strings grow and U+FFFD
/// replaces each byte.
/// Errors: events that were complete before a failure are delivered first; then each form throws
/// what `Reader::read()` does, or too_large, which cancels the transfer; and the same again each
/// time. After a stop request of the `RequestInit` the events of the Chunk that is being parsed
/// still come. The constructor throws body_used if the Body was; and so does an EventStream that
/// was moved from.
/// Thread-safety: one thread at a time asks for events; `cancel()` and `stats()` may be called from
/// any thread while another does, but not while the EventStream is moved or destroyed.
/// Lifetime: dropping it before the end cancels the transfer.
/// Spec: WHATWG HTML section 9.2.6.
class [[nodiscard]] WEIR_API EventStream {
 public:
  explicit EventStream(Body body, const SseLimits& limits = {});
  EventStream(EventStream&&) noexcept;
  EventStream& operator=(EventStream&&) noexcept;
  ~EventStream();

  /// Waits for an event; nullopt at the end of the body.
  std::optional<Event> next();
  /// Waits until `deadline` at most, or until `stop` is requested: data, end, pending or stopped.
  /// The last two lose nothing. A deadline that has passed gives what is there.
  EventResult next_until(Deadline deadline, std::stop_token stop = {});
  /// Never waits: data, end or pending. Of a server that sends much without an event in it, about
  /// 1 MiB is looked at.
  EventResult try_next();

  /// `co_await events.async_next()`: as `next()`, but suspends the coroutine in place of blocking
  /// the thread. It goes on as `ClientOptions::resume_on` says; without a suspension if there is an
  /// event. Bytes that hold none are parsed on the continuation thread. A stop request makes this
  /// wait throw aborted and loses nothing; nor does destroying the suspended coroutine.
  /// Lifetime: until it is done the EventStream must live, and must not be asked otherwise.
  AsyncNext async_next(std::stop_token stop = {});
  /// `co_await events.async_next_until(deadline, stop)`: as `next_until()`.
  AsyncNextUntil async_next_until(Deadline deadline, std::stop_token stop = {});

  /// The last `id` whose event, or empty line, has come; empty: none, or it was taken back. Of the
  /// reading thread, while no coroutine waits; as `retry()`.
  const std::string& last_event_id() const noexcept;
  /// How long the server wants clients to wait before they connect again; nullopt: it did not say.
  /// At most 2^31 - 1 ms.
  std::optional<std::chrono::milliseconds> retry() const noexcept;
  BodyStats stats() const noexcept;
  /// As `Reader::cancel()`: a call that waits returns promptly; it and later ones throw aborted.
  void cancel() noexcept;

  /// `for (const Event& event : events)`: goes on until the end, throws as `next()` does.
  class Iterator;
  Iterator begin();
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  sse::EventPull& checked() const;

  std::unique_ptr<sse::EventPull> pull_;
};

class EventStream::Iterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using value_type = Event;
  using difference_type = std::ptrdiff_t;

  explicit Iterator(EventStream& events) : events_(&events), event_(events.next()) {}
  const Event& operator*() const noexcept { return *event_; }
  const Event* operator->() const noexcept { return &*event_; }
  Iterator& operator++() {
    event_ = events_->next();
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const Iterator& it, std::default_sentinel_t) noexcept {
    return !it.event_;
  }

 private:
  EventStream* events_;
  std::optional<Event> event_;
};

inline EventStream::Iterator EventStream::begin() { return Iterator(*this); }

}  // namespace weir
