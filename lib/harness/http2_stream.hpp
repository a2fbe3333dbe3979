#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "harness/connection.hpp"
#include "harness/echo_buffer.hpp"
#include "harness/encoded_body.hpp"
#include "harness/events_body.hpp"
#include "harness/http1_request.hpp"
#include "harness/http2_outbox.hpp"
#include "harness/http2_session.hpp"
#include "harness/plan.hpp"

namespace weir::harness {

/// One request of an HTTP/2 connection and its response.
/// Memory: the head of the request, at most 64 KiB; an echo's bytes, no more than the stream's
/// window.
class Http2Stream {
 public:
  explicit Http2Stream(std::int32_t the_id) : id(the_id) {}

  void add_field(std::string_view name, std::string_view value);
  /// The head is complete: why it cannot be served, if it cannot.
  std::optional<Refusal> end_head(bool request_ended);

  /// Starts the clock of the body. The fields of the response, ":status" first.
  Http2Session::Fields begin(Clock::time_point now);
  bool has_body(Clock::time_point now);
  /// What to frame now. Nullopt: nothing, until `wake` or until something comes for an echo.
  std::optional<Http2Events::Offer> next_data(std::size_t most, Clock::time_point now,
                                              std::optional<Clock::time_point>& wake);
  /// Frames what was offered.
  void frame(Http2Outbox& outbox, std::span<const std::byte> header, std::size_t bytes, bool last);
  /// What holds up the response while nothing moves.
  struct Held {
    enum class By {
      itself,  // a stall, no bytes to echo, or no event
      pace,    // until `until`
      client,  // its windows or its socket
    };
    By by = By::itself;
    Clock::time_point until{};
  };
  Held held(Clock::time_point now);
  bool is_cut(Clock::time_point now);
  std::uint64_t framed() const noexcept { return cursor_ ? cursor_->offset() : 0; }
  bool echoes() const noexcept { return plan && plan->body.source == BodySource::echo; }

  const std::int32_t id;
  Request request;
  std::optional<ResponsePlan> plan;
  std::optional<EchoBuffer> echo;
  std::optional<EncodedBody> encoded;
  std::optional<EventsBody> events;
  std::optional<Clock::time_point> wake_at;  // the connection's timer for it
  std::uint64_t record = 0;                  // id of the body's record, 0: none
  std::uint64_t interim_heads = 0;           // still to be sent
  std::size_t frames_in_outbox = 0;
  bool request_ended = false;
  bool head_went = false;
  bool all_framed = false;  // END_STREAM too
  bool peer_reset = false;
  bool was_cut = false;
  bool closed = false;  // nghttp2 has forgotten it

 private:
  std::size_t head_bytes_ = 0;
  std::optional<BodyCursor> cursor_;
};

}  // namespace weir::harness
