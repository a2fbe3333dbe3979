#include "net/response_head.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "base/ascii.hpp"
#include "base/headers_access.hpp"

namespace weir::net {

namespace {

constexpr std::size_t kUsualFields = 8;  // room for them is made at once

// Spec: RFC 9110 section 6.5.1, the fields for framing, routing, authentication, request
// modifiers, response controls and the format of what has been read by then; and cookies.
bool is_banned_from_trailers(std::string_view name) {
  constexpr std::string_view kNames[] = {"Age",
                                         "Authorization",
                                         "Cache-Control",
                                         "Connection",
                                         "Content-Type",
                                         "Content-Encoding",
                                         "Content-Length",
                                         "Content-Range",
                                         "Date",
                                         "Expect",
                                         "Host",
                                         "Keep-Alive",
                                         "Location",
                                         "Max-Forwards",
                                         "Pragma",
                                         "Proxy-Authenticate",
                                         "Range",
                                         "Proxy-Connection",
                                         "Proxy-Authorization",
                                         "Retry-After",
                                         "Set-Cookie",
                                         "TE",
                                         "Trailer",
                                         "Transfer-Encoding",
                                         "Upgrade",
                                         "Vary",
                                         "Warning",
                                         "WWW-Authenticate",
                                         "Authentication-Info"};
  return std::any_of(std::begin(kNames), std::end(kNames), [name](std::string_view banned) {
    return detail::equal_ignoring_case(name, banned);
  });
}

std::string_view without_line_end(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

}  // namespace

ResponseHead::Step ResponseHead::fail(errc code, std::string detail) {
  failure_ = {.code = code, .detail = std::move(detail)};
  failure_.status = status_;
  return Step::failed;
}

void ResponseHead::restart() noexcept {
  bytes_ = count_ = 0;
  status_ = 0;
  in_block_ = complete_ = dropped_ = must_close_ = false;
  fields_ = {};
  trailers_ = {};
  length_.reset();
}

ResponseHead::Step ResponseHead::line(std::string_view text) {
  bytes_ += text.size();
  if (bytes_ > max_bytes_)
    return fail(errc::too_large, "max_header_bytes (" + std::to_string(max_bytes_) +
                                     ") exceeded: " + std::to_string(bytes_) + " bytes so far");
  text = without_line_end(text);
  if (!complete_ && !in_block_) return status_line(text);
  if (text.empty()) return complete_ ? Step::more : end_of_block();
  auto& into = detail::HeadersAccess::fields(complete_ ? trailers_ : fields_);
  const bool folded = text.front() == ' ' || text.front() == '\t';
  return folded ? folded_line(text, into) : field_line(text, into);
}

ResponseHead::Step ResponseHead::status_line(std::string_view text) {
  // "HTTP/1.1 200 OK", "HTTP/2 200 "
  const auto space = text.find(' ');
  const auto digits = space == std::string_view::npos ? std::string_view{} : text.substr(space + 1);
  if (!read_version(text.substr(0, space)) || digits.size() < 3 ||
      !std::all_of(digits.begin(), digits.begin() + 3, detail::is_digit) ||
      (digits.size() > 3 && digits[3] != ' '))
    return fail(errc::protocol_error, "malformed status line");
  if (detail::has_line_break(digits))
    return fail(errc::protocol_error, "CR, LF or NUL in the status line");
  std::from_chars(digits.data(), digits.data() + 3, status_);
  if (status_ < 100) return fail(errc::protocol_error, "status " + std::to_string(status_));
  in_block_ = true;
  fields_ = {};
  return Step::more;
}

// libcurl makes up status lines for HTTP/2; "HTTP/2.0" is no version of any protocol.
bool ResponseHead::read_version(std::string_view text) noexcept {
  version_ = text == "HTTP/2" ? HttpVersion::http2 : HttpVersion::http1;
  one_zero_ = text == "HTTP/1.0";
  return version_ == HttpVersion::http2 ||
         (text.size() == 8 && text.starts_with("HTTP/1.") && detail::is_digit(text.back()));
}

// RFC 9112 section 5.2: obsolete line folding.
ResponseHead::Step ResponseHead::folded_line(std::string_view text, std::vector<Field>& into) {
  if (into.empty() && !dropped_) return fail(errc::protocol_error, "folded line without a field");
  if (detail::has_line_break(text)) return fail(errc::protocol_error, "CR, LF or NUL in a header");
  if (dropped_) return Step::more;
  Field& field = into.back();
  for (const auto name : {"Content-Length", "Transfer-Encoding", "Connection"}) {
    if (detail::equal_ignoring_case(field.name, name)) {  // libcurl does not unfold these
      return fail(errc::protocol_error, std::string("folded ") + name);
    }
  }
  const auto more = detail::trim(text);
  if (!field.value.empty() && !more.empty()) field.value += ' ';
  field.value += more;
  return Step::more;
}

ResponseHead::Step ResponseHead::field_line(std::string_view text, std::vector<Field>& into) {
  if (++count_ > static_cast<std::size_t>(max_fields_))
    return fail(errc::too_large, "max_header_fields (" + std::to_string(max_fields_) +
                                     ") exceeded: " + std::to_string(count_) + " fields so far");
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return fail(errc::protocol_error, "header without a colon");
  const auto value = detail::trim(text.substr(colon + 1));
  if (detail::has_line_break(value)) return fail(errc::protocol_error, "CR, LF or NUL in a header");
  const auto name = text.substr(0, colon);
  if (!detail::is_token(name)) return fail(errc::protocol_error, "malformed header name");
  dropped_ = complete_ && is_banned_from_trailers(name);
  if (dropped_) return Step::more;
  if (into.empty()) into.reserve(kUsualFields);
  into.push_back({std::string(name), std::string(value)});
  return Step::more;
}

ResponseHead::Step ResponseHead::end_of_block() {
  in_block_ = false;
  if (status_ == 101) return fail(errc::protocol_error, "status 101, though nobody asked for it");
  if (status_ < 200) return Step::interim;
  if (!find_length())
    return fail(errc::protocol_error, "unclear Content-Length or Transfer-Encoding");
  complete_ = true;
  return Step::complete;
}

bool ResponseHead::find_length() {
  // Anything but this libcurl and we could read in two ways.
  if (const auto coding = fields_.get("transfer-encoding")) {
    must_close_ = one_zero_ || fields_.has("content-length");
    return detail::equal_ignoring_case(*coding, "chunked");
  }
  const auto text = fields_.get("content-length");
  if (!text) return true;
  // RFC 9112 section 6.3: a list of one value, however often, is that value.
  const auto end_of_first = std::min(text->find(','), text->size());
  const auto first = detail::trim(std::string_view(*text).substr(0, end_of_first));
  for (std::string_view rest = *text; !rest.empty();) {
    const auto comma = rest.find(',');
    if (detail::trim(rest.substr(0, comma)) != first || comma + 1 == rest.size()) return false;
    rest.remove_prefix(comma == rest.npos ? rest.size() : comma + 1);
  }
  std::int64_t value = 0;  // libcurl's type, beyond which it reads until the end
  const auto [end, error] = std::from_chars(first.data(), first.data() + first.size(), value);
  if (error != std::errc{} || end != first.data() + first.size() || value < 0) return false;
  length_ = static_cast<std::uint64_t>(value);
  return true;
}

}  // namespace weir::net
