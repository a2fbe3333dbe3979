#pragma once

#include <optional>
#include <string>

#include "net/driver.hpp"
#include "weir/headers.hpp"

namespace weir::net {

/// How the request that follows a redirect differs from the one before.
struct Hop {
  std::string url;
  std::string method;
  Headers headers;
  bool keeps_body = true;
};

/// What `head`, the response to `request`, leads to; nothing unless it is to be followed.
///
/// | status        | method                | becomes | body, and the fields about it |
/// |---------------|-----------------------|---------|-------------------------------|
/// | 301, 302      | POST                  | GET     | dropped                       |
/// | 303           | all but GET and HEAD  | GET     | dropped                       |
/// | these, others | all others            | itself  | sent again                    |
/// To another origin go neither Authorization, Cookie, Proxy-Authorization, Host nor userinfo.
///
/// No I/O, no state. Throws Error: too_many_redirects (Redirect::error counts every one),
/// not_replayable, protocol_error (several Location fields that differ), invalid_argument (it is no
/// http or https URL, or leads from https to http).
/// Spec: WHATWG fetch, HTTP-redirect fetch; RFC 9110 section 15.4.
std::optional<Hop> next_hop(const Request& request, const Head& head);

/// Makes the next request of `request`.
void take(Request& request, Hop hop) noexcept;

}  // namespace weir::net
