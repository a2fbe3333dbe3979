#pragma once

#include <string_view>

#include "weir/error.hpp"

namespace weir::harness::cmd {

/// The enumerator as it is spelled.
constexpr std::string_view errc_name(errc code) noexcept {
  switch (code) {
    case errc::invalid_argument: return "invalid_argument";
    case errc::resolve_failed: return "resolve_failed";
    case errc::connect_failed: return "connect_failed";
    case errc::tls_failed: return "tls_failed";
    case errc::connection_lost: return "connection_lost";
    case errc::protocol_error: return "protocol_error";
    case errc::truncated: return "truncated";
    case errc::decode_failed: return "decode_failed";
    case errc::too_many_redirects: return "too_many_redirects";
    case errc::too_large: return "too_large";
    case errc::timed_out: return "timed_out";
    case errc::consumer_stalled: return "consumer_stalled";
    case errc::aborted: return "aborted";
    case errc::body_used: return "body_used";
    case errc::not_replayable: return "not_replayable";
    case errc::source_failed: return "source_failed";
    case errc::integrity_failed: return "integrity_failed";
    case errc::bad_status: return "bad_status";
    case errc::unsupported: return "unsupported";
    case errc::resource_exhausted: return "resource_exhausted";
    case errc::would_deadlock: return "would_deadlock";
  }
  return "unknown";
}

}  // namespace weir::harness::cmd
