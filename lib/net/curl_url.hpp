#pragma once

#include <string>
#include <string_view>

namespace weir::net {

/// Where a redirect leads.
struct Target {
  std::string url;            ///< Absolute, http or https, its dot segments removed.
  bool same_origin = false;   ///< Scheme, host and port are those of where it came from.
  bool leaves_https = false;  ///< For plain http.
};

/// What `reference`, the value of a Location field, means in a response to a request for `base`,
/// which has passed check_url(). Without a fragment of its own it has that of `base`; userinfo only
/// where the origin is the same, and then that of `base` unless it has its own.
/// Throws Error invalid_argument if that is no absolute http or https URL with a host.
/// Spec: RFC 3986 section 5.2; RFC 9110 section 10.2.2; RFC 6454 section 5.
Target resolve_url(const std::string& base, std::string_view reference);

/// "scheme://host:port" of a URL that has passed check_url(), in lower case, the port always given.
/// Throws std::bad_alloc. Spec: RFC 6454 section 6.2, but for the default port.
std::string origin_of(const std::string& url);

}  // namespace weir::net
