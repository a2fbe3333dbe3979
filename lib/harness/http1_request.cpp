#include "harness/http1_request.hpp"

#include <algorithm>

#include "harness/query.hpp"

namespace weir::harness {
namespace {

constexpr std::size_t kMaxExtras = 64 * 1024;  // chunk extensions and trailers, bytes
constexpr int kMaxSizeDigits = 16;

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kMarks.find(c) != kMarks.npos;
  });
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 127;
  });
}

// Takes a line off the front of `text`, without its CRLF.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find("\r\n");
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(text.size(), line.size() + 2));
  return line;
}

std::optional<Refusal> refuse(std::string reason, int status = 400) {
  return Refusal{status, std::move(reason)};
}

std::optional<Refusal> parse_request_line(std::string_view line, Request& request) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == line.npos || first == last) return refuse("bad request line");
  request.method = line.substr(0, first);
  if (!is_token(request.method)) return refuse("bad method");
  const std::string_view version = line.substr(last + 1);
  request.http_1_0 = version == "HTTP/1.0";
  if (!request.http_1_0 && version != "HTTP/1.1") {
    return refuse("bad HTTP version", version.substr(0, 5) == "HTTP/" ? 505 : 400);
  }
  request.keep_alive = !request.http_1_0;
  return parse_target(line.substr(first + 1, last - first - 1), request);
}

std::optional<Refusal> parse_field(std::string_view line, Request& request) {
  const std::size_t colon = line.find(':');
  if (colon == line.npos || !is_token(line.substr(0, colon))) return refuse("bad field name");
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (has_control(value)) return refuse("bad field value");
  request.fields.emplace_back(lower(line.substr(0, colon)), value);
  return std::nullopt;
}

std::optional<Refusal> take_length(std::string_view value, Request& request) {
  const auto length = decimal(value);
  if (!length) return refuse("bad Content-Length");
  if (request.framing == BodyFraming::length && request.length != *length) {
    return refuse("two Content-Lengths");
  }
  request.framing = BodyFraming::length;
  request.length = *length;
  return std::nullopt;
}

// The fields that decide how the connection goes on.
std::optional<Refusal> read_framing(Request& request) {
  int hosts = 0;
  bool chunked = false;
  for (const auto& [name, value] : request.fields) {
    if (name == "host") ++hosts;
    if (name == "content-length") {
      if (auto refusal = take_length(value, request)) return refusal;
    } else if (name == "transfer-encoding") {
      if (chunked || lower(value) != "chunked") return refuse("unknown Transfer-Encoding", 501);
      chunked = true;
    } else if (name == "connection") {
      if (lower(value).find("close") != std::string::npos) request.keep_alive = false;
    } else if (name == "expect") {
      if (lower(value) != "100-continue") return refuse("unknown Expect", 417);
      request.expects_continue = !request.http_1_0;
    }
  }
  if (hosts > 1 || (hosts == 0 && !request.http_1_0)) return refuse("exactly one Host is needed");
  if (chunked && request.framing == BodyFraming::length) {
    return refuse("Content-Length beside Transfer-Encoding");
  }
  if (chunked && request.http_1_0) return refuse("Transfer-Encoding in HTTP/1.0");
  if (chunked) request.framing = BodyFraming::chunked;
  if (request.framing == BodyFraming::length && request.length == 0) {
    request.framing = BodyFraming::none;
  }
  return std::nullopt;
}

}  // namespace

std::string Request::target() const { return query.empty() ? path : path + "?" + query; }

std::optional<std::size_t> head_size(std::string_view text, std::size_t searched) {
  const std::size_t end = text.find("\r\n\r\n", searched < 3 ? 0 : searched - 3);
  return end == text.npos ? std::nullopt : std::optional<std::size_t>(end + 4);
}

std::optional<Refusal> parse_target(std::string_view target, Request& request) {
  if (lower(target.substr(0, 7)) == "http://" || lower(target.substr(0, 8)) == "https://") {
    const std::size_t slash = target.find('/', target.find("//") + 2);
    target = slash == target.npos ? std::string_view("/") : target.substr(slash);
  }
  if (target.empty() || target.front() != '/') return refuse("bad request target");
  const bool printable = std::all_of(target.begin(), target.end(),
                                     [](char c) { return c > ' ' && c != 127 && c != '#'; });
  if (!printable) return refuse("bad request target");
  const std::size_t mark = target.find('?');
  request.path = target.substr(0, mark);
  if (mark != target.npos) request.query = target.substr(mark + 1);
  return std::nullopt;
}

std::optional<Refusal> parse_head(std::string_view text, Request& request) {
  request = Request();
  request.head = text;
  text.remove_suffix(2);  // the blank line
  if (auto refusal = parse_request_line(take_line(text), request)) return refusal;
  while (!text.empty()) {
    if (auto refusal = parse_field(take_line(text), request)) return refusal;
  }
  return read_framing(request);
}

BodyDecoder::BodyDecoder(const Request& request)
    : state_(request.framing == BodyFraming::none      ? State::done
             : request.framing == BodyFraming::chunked ? State::size
                                                       : State::data),
      chunked_(request.framing == BodyFraming::chunked),
      left_(request.framing == BodyFraming::length ? request.length : 0) {}

BodyDecoder::Step BodyDecoder::next(std::span<const std::byte> input, std::size_t most) {
  Step step;
  while (step.consumed < input.size() && state_ != State::data && state_ != State::done) {
    if (state_ == State::bad || !take_framing(static_cast<char>(input[step.consumed]))) {
      state_ = State::bad;
      step.bad = true;
      return step;
    }
    ++step.consumed;
  }
  if (state_ != State::data) return step;
  const std::uint64_t room = std::min<std::uint64_t>(most, input.size() - step.consumed);
  const auto size = static_cast<std::size_t>(std::min(room, left_));
  step.data = input.subspan(step.consumed, size);
  step.consumed += size;
  left_ -= size;
  if (left_ == 0) state_ = chunked_ ? State::data_cr : State::done;
  return step;
}

bool BodyDecoder::take_size_digit(char c) {
  const int value = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
  if (value < 0 || ++digits_ > kMaxSizeDigits) return false;
  left_ = left_ * 16 + static_cast<std::uint64_t>(value);
  return true;
}

// One byte that is not body.
bool BodyDecoder::take_framing(char c) {
  switch (state_) {
    case State::size:
      if (c != '\r' && c != ';' && c != ' ' && c != '\t') return take_size_digit(c);
      if (digits_ == 0) return false;
      state_ = c == '\r' ? State::size_lf : State::extension;
      return true;
    case State::extension:
      if (c == '\r') state_ = State::size_lf;
      return c != '\n' && ++extras_ <= kMaxExtras;
    case State::size_lf:
      state_ = left_ == 0 ? State::trailer : State::data;
      trailer_line_ = 0;
      return c == '\n';
    case State::data_cr: state_ = State::data_lf; return c == '\r';
    case State::data_lf:
      state_ = State::size;
      digits_ = 0;
      return c == '\n';
    case State::trailer:
      if (after_cr_) {
        after_cr_ = false;
        if (trailer_line_ == 0) state_ = State::done;
        trailer_line_ = 0;
        return c == '\n';
      }
      after_cr_ = c == '\r';
      if (!after_cr_) ++trailer_line_;
      return c != '\n' && ++extras_ <= kMaxExtras;
    default: return false;
  }
}

}  // namespace weir::harness
