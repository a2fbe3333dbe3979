#include "net/redirect.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "net/curl_url.hpp"
#include "weir/error.hpp"

namespace weir::net {
namespace {

// What RFC 9110 section 15.4 names, and Expect, which without a body must not be sent.
constexpr std::array<std::string_view, 7> kOfBody = {"Content-Encoding",
                                                     "Content-Language",
                                                     "Content-Location",
                                                     "Content-Type",
                                                     "Digest",
                                                     "Last-Modified",
                                                     "Expect"};
// Host names the origin that was left.
constexpr std::array<std::string_view, 4> kOfOrigin = {"Authorization", "Cookie",
                                                       "Proxy-Authorization", "Host"};

[[noreturn]] void refuse(errc code, std::string detail) {
  throw Error({.code = code, .detail = std::move(detail)});
}

bool is_redirect(int status) noexcept {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool becomes_get(const std::string& method, int status) noexcept {
  if (status == 303) return method != "GET" && method != "HEAD";
  return (status == 301 || status == 302) && method == "POST";
}

template <class Names>
void remove_all(Headers& headers, const Names& names) {
  for (const auto name : names) headers.remove(name);
}

Target target_of(const Request& request, const std::string& location) {
  try {
    return resolve_url(request.url, location);
  } catch (const Error& error) {
    refuse(static_cast<errc>(error.code().value()), "Location: " + error.detail());
  }
}

}  // namespace

std::optional<Hop> next_hop(const Request& request, const Head& head) {
  if (!is_redirect(head.status) || request.redirect == Redirect::manual) return std::nullopt;
  if (request.redirect == Redirect::error) refuse(errc::too_many_redirects, "Redirect::error");
  const std::vector<std::string> locations = head.headers.get_all("Location");
  if (locations.empty()) return std::nullopt;
  if (std::any_of(locations.begin(), locations.end(),
                  [&](const std::string& other) { return other != locations.front(); }))
    refuse(errc::protocol_error, "Location: several that differ");
  if (request.redirects >= request.max_redirects) {
    refuse(errc::too_many_redirects,
           "max_redirects (" + std::to_string(request.max_redirects) + ")");
  }

  Target target = target_of(request, locations.front());
  if (target.leaves_https) refuse(errc::invalid_argument, "Location: from https to http");
  Hop hop{.url = std::move(target.url), .method = request.method, .headers = request.headers};
  if (becomes_get(request.method, head.status)) {
    hop.method = "GET";
    hop.keeps_body = false;
    remove_all(hop.headers, kOfBody);
  } else if (request.has_body && !request.replayable) {
    refuse(errc::not_replayable, "the redirect wants the request's body again");
  }
  if (!target.same_origin) remove_all(hop.headers, kOfOrigin);
  return hop;
}

void take(Request& request, Hop hop) noexcept {
  request.url = std::move(hop.url);
  request.method = std::move(hop.method);
  request.headers = std::move(hop.headers);
  ++request.redirects;
  if (hop.keeps_body) return;
  request.has_body = false;
  request.body.clear();
}

}  // namespace weir::net
