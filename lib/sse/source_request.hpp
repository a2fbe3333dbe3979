#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "weir/error.hpp"
#include "weir/fetch.hpp"
#include "weir/sse.hpp"

namespace weir::sse {

/// The request of an EventSource, as often as it takes.
/// Thread-safety: one thread at a time.
class SourceRequest {
 public:
  /// Takes the body out of `init`. Throws Error body_used, not_replayable.
  SourceRequest(RequestInit init, std::chrono::milliseconds idle_timeout);

  /// Without a stop token.
  RequestInit next(const std::string& last_event_id) const;

 private:
  RequestInit init_;  // without its body
  std::optional<std::string> body_;
};

/// What a response means to an EventSource.
struct Verdict {
  enum class Kind { events, over, refused, later };
  Kind kind = Kind::events;
  std::optional<Failure> failure{};                        // of refused and later
  std::optional<std::chrono::milliseconds> retry_after{};  // of later
};

/// Spec: WHATWG HTML section 9.2.3, "process a response".
Verdict judge(const Response& response, std::chrono::system_clock::time_point now);

/// Whether the same request would fail again in the same way.
bool is_final(const Error& error);

}  // namespace weir::sse
