#pragma once

#include <string_view>

#include "flow/channel.hpp"
#include "net/driver.hpp"
#include "weir/fetch.hpp"

namespace weir::detail {

/// What a client gives to each of its requests.
struct RequestDefaults {
  Headers headers;  ///< User-Agent included.
  flow::Watermarks marks;
  HttpVersion version = HttpVersion::automatic;
};

/// Throws Error invalid_argument for options that contradict each other, or unsupported.
RequestDefaults check_options(const ClientOptions& options);

/// The request to start, complete; takes the body and the headers out of `init`. Throws Error
/// invalid_argument, body_used, unsupported, or aborted if stop was requested already.
net::Request make_request(std::string_view url, RequestInit& init, const RequestDefaults& defaults);

/// The marks of the request's body. Throws Error invalid_argument.
flow::Watermarks make_marks(const RequestInit& init, const RequestDefaults& defaults);

}  // namespace weir::detail
