#include "harness/http2_stream.hpp"

#include <algorithm>

#include "harness/query.hpp"

namespace weir::harness {
namespace {

constexpr std::size_t kMaxHead = 64 * 1024;  // bytes of a request's head

}  // namespace

void Http2Stream::add_field(std::string_view name, std::string_view value) {
  head_bytes_ += name.size() + value.size() + 4;
  if (head_bytes_ > kMaxHead) return;
  request.head.append(name).append(": ").append(value).append("\r\n");
  if (name == ":method") {
    request.method = value;
  } else if (name == ":path") {
    request.path = value;  // for end_head() to take apart
  } else if (!name.starts_with(':')) {
    request.fields.emplace_back(name, value);
  }
}

std::optional<Refusal> Http2Stream::end_head(bool ended) {
  request.http2 = true;
  request.head += "\r\n";
  request_ended = ended;
  if (head_bytes_ > kMaxHead) return Refusal{431, "the head is larger than 64 KiB"};
  const std::string target = std::exchange(request.path, {});
  if (auto refusal = parse_target(target, request)) return refusal;
  if (ended) return std::nullopt;
  request.framing = BodyFraming::chunked;
  for (const auto& [name, value] : request.fields) {
    if (name == "expect") request.expects_continue = value == "100-continue";
    if (name != "content-length") continue;
    request.framing = BodyFraming::length;
    request.length = decimal(value).value_or(0);
  }
  return std::nullopt;
}

Http2Session::Fields Http2Stream::begin(Clock::time_point now) {
  const BodyPlan& body = plan->body;
  const bool bodiless = request.method == "HEAD" || plan->status == 204 || plan->status == 304;
  cursor_.emplace(bodiless ? BodyPlan() : body, now);
  if (body.source == BodySource::echo) echo.emplace(body, now);
  if (body.source == BodySource::encoded && !bodiless) encoded.emplace(body);
  if (body.source == BodySource::events && !bodiless) events.emplace(body, now);
  interim_heads = plan->interim;

  Http2Session::Fields fields{{":status", std::to_string(plan->status)}};
  fields.insert(fields.end(), plan->fields.begin(), plan->fields.end());
  const bool measured = body.length && !body.no_length && !body.chunked;
  if (measured && plan->status != 204 && plan->status != 304) {
    fields.emplace_back("content-length", std::to_string(*body.length));
  }
  return fields;
}

bool Http2Stream::has_body(Clock::time_point now) {
  return cursor_->next(now).action != BodyCursor::Action::end;
}

std::optional<Http2Events::Offer> Http2Stream::next_data(std::size_t most, Clock::time_point now,
                                                         std::optional<Clock::time_point>& wake) {
  if (was_cut || !cursor_) return std::nullopt;
  if (echo && request_ended && echo->bytes.empty()) cursor_->source_ended();
  if (encoded) encoded->fill();
  if (events) events->fill(now);
  if ((encoded && encoded->ended()) || (events && events->ended())) cursor_->source_ended();
  const BodyCursor::Step step = cursor_->next(now);
  if (step.action == BodyCursor::Action::end) return Http2Events::Offer{0, true};
  if (step.action == BodyCursor::Action::wait) wake = step.until;
  if (step.action != BodyCursor::Action::send) return std::nullopt;
  const std::uint64_t offset = cursor_->offset();
  std::uint64_t bytes = std::min<std::uint64_t>(step.bytes, most);
  if (plan->goaway_after && *plan->goaway_after > offset) {
    bytes = std::min(bytes, *plan->goaway_after - offset);
  }
  if (echo) {
    if (echo->bytes.empty()) return std::nullopt;
    bytes = echo->rate.allowed(std::min<std::uint64_t>(bytes, echo->bytes.size()), now);
    if (bytes == 0) {
      wake = echo->rate.ready_at();
      return std::nullopt;
    }
    if (request_ended && bytes == echo->bytes.size()) return Http2Events::Offer{bytes, true};
  }
  if (encoded) bytes = std::min<std::uint64_t>(bytes, encoded->bytes.size());
  if (events) {
    if (events->bytes.empty()) {
      wake = events->ready_at();
      return std::nullopt;
    }
    bytes = std::min<std::uint64_t>(bytes, events->bytes.size());
  }
  if (plan->body.length != offset + bytes) return Http2Events::Offer{bytes, false};
  BodyCursor after = *cursor_;
  after.sent(bytes);
  return Http2Events::Offer{bytes, after.next(now).action == BodyCursor::Action::end};
}

void Http2Stream::frame(Http2Outbox& outbox, std::span<const std::byte> header, std::size_t bytes,
                        bool last) {
  const std::uint64_t offset = cursor_->offset();
  if (plan->body.source == BodySource::pattern) {
    outbox.add_pattern(id, header, plan->body.seed, offset, bytes, last);
  } else {
    std::string_view text = plan->body.text;
    if (echo) {
      text = echo->bytes;
    } else if (encoded) {
      text = encoded->bytes;
    } else if (events) {
      text = events->bytes;
    } else {
      text.remove_prefix(static_cast<std::size_t>(offset));
    }
    outbox.add_data(id, header, std::as_bytes(std::span(text.substr(0, bytes))), last);
  }
  if (echo) {
    echo->bytes.erase(0, bytes);
    echo->rate.used(bytes);
  }
  if (encoded) encoded->bytes.erase(0, bytes);
  if (events) events->bytes.erase(0, bytes);
  cursor_->sent(bytes);
  all_framed = last;
  ++frames_in_outbox;
}

Http2Stream::Held Http2Stream::held(Clock::time_point now) {
  if (frames_in_outbox > 0) return {Held::By::client, {}};
  if (closed || was_cut || all_framed || !cursor_) return {};
  if (!head_went) return {Held::By::client, {}};
  const BodyCursor::Step step = cursor_->next(now);
  if (step.action == BodyCursor::Action::wait) return {Held::By::pace, step.until};
  if (step.action != BodyCursor::Action::send) return {};
  if (events) {
    events->fill(now);
    if (!events->bytes.empty() || events->ended()) return {Held::By::client, {}};
    if (!events->ready_at()) return {};
    return {Held::By::pace, *events->ready_at()};
  }
  if (!echo) return {Held::By::client, {}};
  if (echo->bytes.empty()) return {};
  if (echo->rate.allowed(echo->bytes.size(), now) > 0) return {Held::By::client, {}};
  return {Held::By::pace, echo->rate.ready_at()};
}

bool Http2Stream::is_cut(Clock::time_point now) {
  if (!cursor_ || all_framed || was_cut) return false;
  return cursor_->next(now).action == BodyCursor::Action::cut;
}

}  // namespace weir::harness
