#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "harness/connection.hpp"
#include "harness/echo_buffer.hpp"
#include "harness/encoded_body.hpp"
#include "harness/events_body.hpp"
#include "harness/http1_request.hpp"
#include "harness/plan.hpp"

namespace weir::harness {

/// How a response's end is found by its reader.
enum class Framing { none, length, chunked, close };

/// One request of an HTTP/1.1 connection and its response.
struct Http1Exchange {
  Http1Exchange(Request the_request, ResponsePlan the_plan);

  /// Decides the framing and starts the clock of the body. The head, with interim responses.
  std::string begin(Clock::time_point now);
  /// The body bytes at `offset`, at most `most`. Empty: none now. Lifetime: until anything changes.
  std::span<const std::byte> peek(PatternWindow& window, std::uint64_t offset, std::size_t most);
  /// Chunk size to announce next, given what is at hand.
  std::uint64_t next_chunk(std::size_t at_hand) const;

  Request request;
  ResponsePlan plan;
  BodyDecoder decoder;
  std::optional<BodyCursor> cursor;
  std::optional<EchoBuffer> echo;
  std::optional<EncodedBody> encoded;
  std::optional<EventsBody> events;
  Framing framing = Framing::none;
  std::uint64_t id = 0;          // of the body's record, 0: none
  std::uint64_t chunk_left = 0;  // of the chunk whose size was announced
  bool last_chunk = false;       // the terminating chunk is on its way
  bool head_sent = false;
  bool close_after = false;
};

}  // namespace weir::harness
