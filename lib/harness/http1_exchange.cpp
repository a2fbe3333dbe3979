#include "harness/http1_exchange.hpp"

#include <algorithm>

namespace weir::harness {
namespace {

constexpr std::uint64_t kChunk = 64 * 1024;  // bytes, where the URL does not say

const char* reason_of(int status) {
  switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 417: return "Expectation Failed";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "";  // RFC 9112 section 4: may be empty
  }
}

void append_field(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

Http1Exchange::Http1Exchange(Request the_request, ResponsePlan the_plan)
    : request(std::move(the_request)), plan(std::move(the_plan)), decoder(request) {}

std::string Http1Exchange::begin(Clock::time_point now) {
  const BodyPlan& body = plan.body;
  const bool bodiless = request.method == "HEAD" || plan.status == 204 || plan.status == 304;
  const bool measured = body.length && !body.no_length && !body.chunked;
  const bool until_close = body.no_length || request.http_1_0;
  const Framing announced = measured      ? Framing::length
                            : until_close ? Framing::close
                                          : Framing::chunked;
  framing = bodiless ? Framing::none : announced;
  close_after = close_after || !request.keep_alive || framing == Framing::close;
  cursor.emplace(bodiless ? BodyPlan() : body, now);
  if (body.source == BodySource::echo) echo.emplace(body, now);
  if (body.source == BodySource::encoded && !bodiless) encoded.emplace(body);
  if (body.source == BodySource::events && !bodiless) events.emplace(body, now);

  std::string head;
  for (std::uint64_t i = 0; i < plan.interim; ++i) {
    head += "HTTP/1.1 103 Early Hints\r\nLink: </" + std::to_string(i) + ">\r\n\r\n";
  }
  head += "HTTP/1.1 " + std::to_string(plan.status) + " " + reason_of(plan.status) + "\r\n";
  for (const auto& [name, value] : plan.fields) append_field(head, name, value);
  if (plan.status != 204 && plan.status != 304) {
    if (announced == Framing::length) {
      append_field(head, "Content-Length", std::to_string(*body.length));
    } else if (announced == Framing::chunked) {
      append_field(head, "Transfer-Encoding", "chunked");
    }
  }
  if (close_after) append_field(head, "Connection", "close");
  return head + "\r\n";
}

std::span<const std::byte> Http1Exchange::peek(PatternWindow& window, std::uint64_t offset,
                                               std::size_t most) {
  switch (plan.body.source) {
    case BodySource::pattern:
      return most == 0 ? std::span<const std::byte>() : window.at(plan.body.seed, offset, most);
    case BodySource::text: {
      const auto text = std::string_view(plan.body.text).substr(static_cast<std::size_t>(offset));
      return std::as_bytes(std::span(text.substr(0, most)));
    }
    case BodySource::echo:
      return std::as_bytes(std::span(std::string_view(echo->bytes).substr(0, most)));
    case BodySource::encoded:
      return std::as_bytes(std::span(std::string_view(encoded->bytes).substr(0, most)));
    case BodySource::events:
      return std::as_bytes(std::span(std::string_view(events->bytes).substr(0, most)));
    case BodySource::none: break;
  }
  return {};
}

std::uint64_t Http1Exchange::next_chunk(std::size_t at_hand) const {
  const std::uint64_t size = plan.body.write_size > 0 ? plan.body.write_size : kChunk;
  const std::uint64_t left = plan.body.length ? *plan.body.length - cursor->offset() : at_hand;
  return std::min(size, left);
}

}  // namespace weir::harness
