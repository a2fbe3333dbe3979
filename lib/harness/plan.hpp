#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weir::harness {

/// Where the bytes of a response's body come from.
enum class BodySource {
  none,
  text,     // BodyPlan::text
  pattern,  // BodyPlan::seed
  echo,     // the request's body, as it comes
  encoded,  // BodyPlan::encoded
  events,   // BodyPlan::events
};

/// What is inside an encoded body.
struct EncodedPlan {
  std::uint64_t length = 0;          // bytes of content
  std::vector<std::string> codings;  // make_encoder's names, in the order applied
  std::uint64_t flush = 0;           // bytes of content between flushes, 0: none
  bool zeros = false;                // rather than pattern
};

/// A stream of server-sent events.
struct EventsPlan {
  std::uint64_t first = 0;               // number of the first event
  std::optional<std::uint64_t> count{};  // nullopt: no end of them
  std::vector<std::string> texts{};      // their data; empty: their numbers
  std::optional<std::string> data{};     // of each, in place of its number
  bool stamp = false;  // the data is the steady clock's nanoseconds as the event is made
  std::vector<std::string> codings{};      // as EncodedPlan's, flushed at each write
  std::uint64_t size = 0;                  // bytes of data, where it is a number, at least
  bool ids = false;                        // the number is the id
  bool burst = false;                      // many in one write, and all at once
  std::chrono::milliseconds interval{0};   // between events
  std::chrono::milliseconds heartbeat{0};  // between comments, 0: none
  std::optional<std::chrono::milliseconds> retry{};  // told in front of the first
  enum class Then { end, silence, heartbeats };
  Then then = Then::end;  // after the last event
};

/// How a body ends early.
enum class Cut { none, fin, rst };

/// A response's body and its manners, whatever the protocol that carries it.
struct BodyPlan {
  BodySource source = BodySource::none;
  std::string text;
  std::uint64_t seed = 0;
  EncodedPlan encoded{};
  EventsPlan events{};
  std::optional<std::uint64_t> length = 0;   // bytes; nullopt: known at its end only
  bool chunked = false;                      // announce no length, frame it where the protocol can
  bool no_length = false;                    // announce no length; HTTP/1.1 ends it by closing
  std::uint64_t rate = 0;                    // bytes/s, 0: none. An echo is read at this rate
  std::uint64_t write_size = 0;              // bytes in one write at most, 0: no limit
  std::optional<std::uint64_t> stall_after;  // bytes
  std::optional<std::chrono::milliseconds> stall;  // nullopt: for ever
  Cut cut = Cut::none;
  std::uint64_t cut_after = 0;   // bytes
  std::uint32_t reset_code = 2;  // of Cut::rst and Instead::reset in HTTP/2; 2: INTERNAL_ERROR
};

/// What happens in place of a response.
enum class Instead {
  nothing,
  hang,        // no answer, for as long as the client waits
  close,       // the connection ends, as `cut` says, before a byte of response
  close_head,  // the same inside the head
  drip,        // the head never ends: a field every `drip` milliseconds
  raw,         // body.text and nothing else, then the connection ends
  reset,       // HTTP/2: RST_STREAM with body.reset_code
  refuse,      // HTTP/2: a GOAWAY that leaves this request out
};

/// What a route decided: everything about a response but its framing.
struct ResponsePlan {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> fields;  // beside those of the framing
  BodyPlan body;
  std::uint64_t interim = 0;                  // so many 103 responses first
  std::optional<std::uint64_t> goaway_after;  // HTTP/2: bytes of body
  Instead instead = Instead::nothing;
  Cut cut = Cut::fin;  // of Instead::close and close_head
  std::chrono::milliseconds drip{0};
};

/// A response of one line of text.
inline ResponsePlan text_response(int status, std::string text,
                                  const char* type = "text/plain; charset=utf-8") {
  ResponsePlan plan;
  plan.status = status;
  plan.fields.emplace_back("Content-Type", type);
  plan.body.source = BodySource::text;
  plan.body.length = text.size();
  plan.body.text = std::move(text);
  return plan;
}

}  // namespace weir::harness
