#include "sse/source_request.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "api/memory_stream.hpp"
#include "api/stream.hpp"
#include "base/ascii.hpp"
#include "sse/backoff.hpp"

namespace weir::sse {
namespace {

constexpr std::string_view kType = "text/event-stream";

void set_default(Headers& headers, std::string_view name, std::string_view value) {
  if (!headers.has(name)) headers.append(name, value);
}

std::optional<std::string> taken_text(Body& source) {
  if (source.used()) static_cast<void>(source.reader());  // throws
  Body body(std::move(source));
  // NOLINTNEXTLINE(bugprone-use-after-move): one that was moved away says so
  if (!source.used()) return std::nullopt;  // there was none to move
  const auto stream = detail::ReaderAccess::release(body.reader());
  auto* const memory = dynamic_cast<detail::MemoryStream*>(stream.get());
  if (memory == nullptr) {
    throw Error({.code = errc::not_replayable, .detail = "the body of an EventSource's request"});
  }
  return std::move(*memory).release();
}

bool has_type(const Response& response) {
  const std::string all = response.headers.get("Content-Type").value_or("");
  const std::string_view type = std::string_view(all).substr(0, all.find(';'));
  return detail::equal_ignoring_case(detail::trim(type), kType);
}

Failure failure_of(const Response& response, std::string detail) {
  Failure failure;
  failure.code = errc::bad_status;
  failure.detail = std::move(detail);
  failure.url = response.url;
  failure.status = response.status;
  return failure;
}

}  // namespace

SourceRequest::SourceRequest(RequestInit init, std::chrono::milliseconds idle_timeout)
    : init_(std::move(init)), body_(taken_text(init_.body)) {
  init_.body = Body();
  init_.stop = {};
  init_.idle_timeout = idle_timeout;
  if (init_.method.empty() && body_) init_.method = "POST";
  set_default(init_.headers, "Accept", kType);
  set_default(init_.headers, "Cache-Control", "no-store");
}

RequestInit SourceRequest::next(const std::string& last_event_id) const {
  // A RequestInit cannot be copied; but none of its fields is forgotten here: all are named.
  const auto& [method, headers, body, stop, redirect, max_redirects, headers_timeout, idle_timeout,
               total_timeout, consumer_timeout, high_water, low_water, version, decode, integrity] =
      init_;
  RequestInit init{.method = method,
                   .headers = headers,
                   .body = body_ ? Body(*body_) : Body(),
                   .stop = stop,
                   .redirect = redirect,
                   .max_redirects = max_redirects,
                   .headers_timeout = headers_timeout,
                   .idle_timeout = idle_timeout,
                   .total_timeout = total_timeout,
                   .consumer_timeout = consumer_timeout,
                   .high_water = high_water,
                   .low_water = low_water,
                   .version = version,
                   .decode = decode,
                   .integrity = integrity};
  if (!last_event_id.empty()) init.headers.set("Last-Event-ID", last_event_id);
  return init;
}

Verdict judge(const Response& response, std::chrono::system_clock::time_point now) {
  const int status = response.status;
  if (status == 204) return {.kind = Verdict::Kind::over};
  if (status == 200) {
    if (has_type(response)) return {};
    const std::string type = response.headers.get("Content-Type").value_or("none");
    return {.kind = Verdict::Kind::refused,
            .failure = failure_of(response, "content type " + type)};
  }
  Verdict verdict{.kind = Verdict::Kind::refused,
                  .failure = failure_of(response, "status " + std::to_string(status))};
  if (status == 429 || status == 503) {
    verdict.retry_after = retry_after(response.headers.get("Retry-After").value_or(""), now);
  }
  const bool gateway = status >= 502 && status <= 504;
  if (gateway || verdict.retry_after) verdict.kind = Verdict::Kind::later;
  return verdict;
}

bool is_final(const Error& error) {
  constexpr std::array kFinal = {errc::invalid_argument, errc::too_many_redirects,
                                 errc::too_large,        errc::consumer_stalled,
                                 errc::aborted,          errc::body_used,
                                 errc::not_replayable,   errc::bad_status,
                                 errc::unsupported,      errc::integrity_failed};
  return std::any_of(kFinal.begin(), kFinal.end(),
                     [&](errc code) { return error.code() == make_error_code(code); });
}

}  // namespace weir::sse
