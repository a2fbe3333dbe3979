#include "api/request_check.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "api/memory_stream.hpp"
#include "base/ascii.hpp"
#include "decode/codings.hpp"
#include "weir/error.hpp"

namespace weir::detail {

/// Takes the bytes out of a Body.
struct BodyAccess {
  static std::unique_ptr<Stream>& stream(Body& body) noexcept { return body.stream_; }
};

namespace {

// Keeps "now + timeout" from overflowing; who asks for more means: never.
constexpr milliseconds kLongest = std::chrono::hours(24 * 365 * 10);

constexpr std::array<std::string_view, 5> kOurs = {"Content-Length", "Transfer-Encoding",
                                                   "Connection", "TE", "Upgrade"};

[[noreturn]] void refuse(std::string detail) {
  throw Error({.code = errc::invalid_argument, .detail = std::move(detail)});
}

void check_fields(const Headers& headers) {
  for (const auto name : kOurs) {
    if (headers.has(name)) refuse(std::string(name) + " is set by weir");
  }
}

void check_timeout(milliseconds value, const char* name) {
  if (value.count() < 0) refuse(std::string(name) + " is negative");
}

milliseconds checked_timeout(milliseconds value, const char* name) {
  check_timeout(value, name);
  return std::min(value, kLongest);
}

std::string checked_method(std::string method, bool has_body) {
  if (method.empty()) return has_body ? "POST" : "GET";
  if (!is_token(method)) refuse("the method is not a token");
  if (method == "CONNECT") refuse("CONNECT makes a tunnel, not a response");
  if (has_body && (method == "GET" || method == "HEAD" || method == "TRACE")) {
    refuse("a " + method + " request has no body");
  }
  return method;
}

void check_version(HttpVersion version) {
  if (version != HttpVersion::http3 && version != HttpVersion::http3_only) return;
  throw Error({.code = errc::unsupported, .detail = "version: HTTP/3"});
}

Headers merged(const Headers& defaults, Headers own) {
  if (own.empty()) return defaults;
  check_fields(own);
  Headers all;
  for (const auto& field : defaults) {
    if (!own.has(field.name)) all.append(field.name, field.value);
  }
  if (all.empty()) return own;
  for (const auto& field : own) all.append(field.name, field.value);
  return all;
}

/// Spec: Fetch, HTTP-network-or-cache fetch: a Range is of what is not encoded.
void ask_for_codings(Headers& headers, bool decode) {
  if (!decode || headers.has("Accept-Encoding")) return;
  headers.append("Accept-Encoding", headers.has("Range") ? "identity" : decode::kAcceptEncoding);
}

std::string taken_text(Stream& stream) {
  auto* const memory = dynamic_cast<MemoryStream*>(&stream);
  if (memory == nullptr) {
    throw Error({.code = errc::unsupported, .detail = "body: streamed request bodies"});
  }
  return std::move(*memory).release();
}

}  // namespace

RequestDefaults check_options(const ClientOptions& options) {
  if (options.memory_budget == 0) refuse("memory_budget is zero");
  if (options.max_header_bytes == 0) refuse("max_header_bytes is zero");
  if (options.max_header_fields <= 0) refuse("max_header_fields is not positive");
  if (options.max_connections < 0) refuse("max_connections is negative");
  if (options.max_connections_per_host < 0) refuse("max_connections_per_host is negative");
  if (options.max_idle_connections < 0) refuse("max_idle_connections is negative");
  check_timeout(options.keep_alive, "keep_alive");
  check_timeout(options.connect_timeout, "connect_timeout");
  check_fields(options.headers);
  check_version(options.version);

  RequestDefaults defaults{options.headers,
                           {options.high_water, options.low_water, options.unread_high_water},
                           options.version};
  flow::Watermarks::resolve(defaults.marks, 0, 0);
  if (!options.user_agent.empty() && !defaults.headers.has("User-Agent")) {
    defaults.headers.append("User-Agent", options.user_agent);
  }
  return defaults;
}

net::Request make_request(std::string_view url, RequestInit& init,
                          const RequestDefaults& defaults) {
  net::Request request;
  request.url = url;
  net::check_url(request.url);
  if (init.body.used()) throw Error({.code = errc::body_used, .detail = "the request's body"});
  auto& body = BodyAccess::stream(init.body);
  request.has_body = body != nullptr;
  request.method = checked_method(std::move(init.method), request.has_body);
  request.headers = merged(defaults.headers, std::move(init.headers));
  ask_for_codings(request.headers, init.decode);
  request.decode = init.decode;
  check_version(init.version);
  request.version = init.version == HttpVersion::automatic ? defaults.version : init.version;
  if (init.max_redirects < 0) refuse("max_redirects is negative");
  request.redirect = init.redirect;
  request.max_redirects = init.max_redirects;
  request.headers_timeout = checked_timeout(init.headers_timeout, "headers_timeout");
  request.idle_timeout = checked_timeout(init.idle_timeout, "idle_timeout");
  request.total_timeout = checked_timeout(init.total_timeout, "total_timeout");
  request.consumer_timeout = checked_timeout(init.consumer_timeout, "consumer_timeout");
  if (body) request.body = taken_text(*body);
  if (init.stop.stop_requested()) {
    throw Error({.code = errc::aborted, .detail = "stop was requested before the start"});
  }
  return request;
}

flow::Watermarks make_marks(const RequestInit& init, const RequestDefaults& defaults) {
  return flow::Watermarks::resolve(defaults.marks, init.high_water, init.low_water);
}

}  // namespace weir::detail
