#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "weir/awaiter.hpp"
#include "weir/body.hpp"
#include "weir/error.hpp"
#include "weir/export.hpp"
#include "weir/fetch.hpp"
#include "weir/reader.hpp"

namespace weir {

namespace sse {
class EventPull;
class EventSupply;
class SourceMachine;
}  // namespace sse

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
  friend class EventSource;
  friend class EventStream;
  AsyncNext(sse::EventSupply& events, std::stop_token stop) noexcept;

  sse::EventSupply& events_;
};

/// What `co_await events.async_next_until(...)` waits with; `EventStream` describes it.
class [[nodiscard]] WEIR_API AsyncNextUntil : public detail::Awaiter {
 public:
  EventResult await_resume();

 private:
  friend class EventSource;
  friend class EventStream;
  AsyncNextUntil(sse::EventSupply& events, Deadline deadline, std::stop_token stop) noexcept;

  sse::EventSupply& events_;
  const Deadline deadline_;
};

namespace detail {

/// `for (const Event& event : events)`.
template <class Events>
class EventIterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using value_type = Event;
  using difference_type = std::ptrdiff_t;

  explicit EventIterator(Events& events) : events_(&events), event_(events.next()) {}
  const Event& operator*() const noexcept { return *event_; }
  const Event* operator->() const noexcept { return &*event_; }
  EventIterator& operator++() {
    event_ = events_->next();
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const EventIterator& it, std::default_sentinel_t) noexcept {
    return !it.event_;
  }

 private:
  Events* events_;
  std::optional<Event> event_;
};

}  // namespace detail

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
  using Iterator = detail::EventIterator<EventStream>;
  Iterator begin() { return Iterator(*this); }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  sse::EventPull& checked() const;

  std::unique_ptr<sse::EventPull> pull_;
};

/// Whether an EventSource connects again after its connection was lost.
enum class Reconnect {
  always,
  never,  ///< For requests that must not be repeated, as POSTs to a language model.
};

/// What an EventSource does with events that nobody asks for.
enum class Overflow {
  /// Nothing is read ahead but one event: the server stops, and no event is lost. The end of a
  /// connection is noticed once the events before it were asked for.
  block,
  drop_oldest,  ///< All is read; beyond `max_pending_events` the oldest is dropped.
  drop_newest,  ///< All is read; what comes beyond `max_pending_events` is dropped.
  fail,         ///< All is read; beyond `max_pending_events` it ends with Error too_large.
};

/// Options of an EventSource.
struct EventSourceOptions {
  /// The request, sent anew for each connection, with `Accept: text/event-stream`,
  /// `Cache-Control: no-store` and Last-Event-ID beside its headers. Its body must be in memory, to
  /// be sent again: else Error not_replayable. Its timeouts are each connection's, but for
  /// `idle_timeout`: the one below counts. A stop request is as `close()`.
  RequestInit init{};
  /// Where to begin: the Last-Event-ID of the first request. Empty: none is sent.
  std::string last_event_id{};
  SseLimits limits{};
  Reconnect reconnect = Reconnect::always;
  /// Time to wait before it connects again, at least 1 ms: doubled each time up to `max_retry`,
  /// anew once a connection was up for 60 s; plus 0 to 50 % by chance. A `retry` field of the
  /// server's replaces it, and a Retry-After with 429 or 503 is waited for; both within 100 ms and
  /// 5 minutes.
  milliseconds retry{3'000};
  milliseconds max_retry{30'000};
  /// Longest silence while it is willing to read; any byte counts, comments too. Finds connections
  /// whose peer has vanished without a word. Zero: none.
  milliseconds idle_timeout{120'000};
  Overflow overflow = Overflow::block;
  /// For the policies that read ahead; at least 1.
  std::size_t max_pending_events = 1024;

  // The functions are called on the client's continuation thread, one call at a time; they must
  // neither throw nor block, and may call `close()`, and destroy the EventSource.

  /// Called with why a connection was lost, or could not be made, before it waits to connect again;
  /// errc truncated where the server just ended its response.
  std::function<void(const Error&)> on_disconnect{};
  /// Called when a connection is open, before anything it brings.
  std::function<void()> on_open{};
  /// Called with the text of each comment. With Overflow::block in its place among the events: once
  /// the one after it is asked for, and before that is given out. With the others as soon as it
  /// arrives, while events before it may still wait. Empty: comments cost nothing.
  /// Lifetime: the text lives until the call returns.
  std::function<void(std::string_view)> on_comment{};
};

/// Figures of an EventSource, since its beginning.
struct EventSourceStats {
  std::uint64_t events = 0;          ///< Given to who asked.
  std::uint64_t dropped = 0;         ///< As `EventSource::dropped()`.
  std::uint64_t reconnects = 0;      ///< Requests after the first, whatever came of them.
  std::uint64_t bytes_received = 0;  ///< Of the responses it took events from; as sent.
  std::uint64_t pauses = 0;  ///< Times such a response was paused, as too few were asked for.
};

/// The server-sent events of a URL, over as many connections as it takes.
///
///     EventSource events(client, "https://example.com/updates");
///     while (const auto event = events.next()) show(event->data);
///
/// A lost connection is made again after a while, with the id of the last event as Last-Event-ID.
/// What counts as lost: the end of the response, any failure of the connection, a status of 502,
/// 503 or 504, and 429 with Retry-After. 204 ends it. Anything else is an error: another status, or
/// another content type than text/event-stream (bad_status); too_large, consumer_stalled, and what
/// is wrong with the request. Redirects are followed as `RequestInit::redirect` says, anew for each
/// connection: too many of them are an error, and with Redirect::manual each one (bad_status).
/// With Reconnect::never the end of the response ends it, and each failure is an error.
/// Memory: beside what an EventStream holds, the request, and one event; or `max_pending_events`
/// of at most `SseLimits::event` + `id` bytes each, with the policies that read ahead.
/// Errors: events that came before are delivered first; then each form throws the same each time,
/// until `close()`:
/// bad_status, too_large, too_many_redirects, invalid_argument, unsupported, not_replayable,
/// consumer_stalled; aborted after the end of the Client; with Reconnect::never all that
/// `Client::fetch()` and `Reader::read()` throw. The constructor throws invalid_argument for its
/// own options, body_used, not_replayable, resource_exhausted. `next()` throws would_deadlock if it
/// had to wait on the continuation thread.
/// Thread-safety: one thread at a time asks for events; `close()`, `state()`, `dropped()` and
/// `stats()` may be called from any, but not while it is destroyed. There is no thread for each:
/// the client's continuation thread connects, and reads what nobody waits for.
/// Lifetime: destruction closes it, in any state, and waits for nothing but a call of one of its
/// functions under way on another thread. It may outlive its Client.
/// Spec: WHATWG HTML section 9.2.
class [[nodiscard]] WEIR_API EventSource {
 public:
  /// As EventSource.readyState.
  enum class State {
    connecting,  ///< Or waiting to connect again.
    open,
    closed,  ///< For good; events that came before an error may still be there.
  };

  /// Starts to connect.
  EventSource(Client& client, std::string url, EventSourceOptions options = {});
  EventSource(const EventSource&) = delete;
  EventSource& operator=(const EventSource&) = delete;
  ~EventSource();

  /// Waits for an event, over all reconnections; nullopt after 204, `close()` or a stop request.
  std::optional<Event> next();
  /// Waits until `deadline` at most, or until `stop` is requested: data, end, pending or stopped.
  /// The last two lose nothing. A deadline that has passed gives what is there.
  EventResult next_until(Deadline deadline, std::stop_token stop = {});
  /// Never waits: data, end or pending.
  EventResult try_next();
  /// As those of EventStream. `co_await events.async_next()` may stand where `next()` would not.
  AsyncNext async_next(std::stop_token stop = {});
  AsyncNextUntil async_next_until(Deadline deadline, std::stop_token stop = {});

  /// Ends it at once: the connection is let go, and what was not asked for is discarded. A call
  /// that waits returns.
  void close() noexcept;
  State state() const noexcept;
  /// Events dropped as `overflow` says, since the beginning.
  std::uint64_t dropped() const noexcept;
  EventSourceStats stats() const noexcept;

  /// `for (const Event& event : events)`: goes on until the end, throws as `next()` does.
  using Iterator = detail::EventIterator<EventSource>;
  Iterator begin() { return Iterator(*this); }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  const std::shared_ptr<sse::SourceMachine> machine_;  // the continuation thread's too
};

}  // namespace weir
