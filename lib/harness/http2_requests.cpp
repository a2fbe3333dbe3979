#include <algorithm>

#include "harness/http2_connection.hpp"
#include "harness/router.hpp"

namespace weir::harness {

Http2Stream* Http2Connection::find(std::int32_t id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : &found->second;
}

// --- the request

void Http2Connection::head_began(std::int32_t id) { streams_.try_emplace(id, id); }

void Http2Connection::field(std::int32_t id, std::string_view name, std::string_view value) {
  if (Http2Stream* const stream = find(id)) stream->add_field(name, value);
}

void Http2Connection::head_ended(std::int32_t id, bool request_ended) {
  Http2Stream* const stream = find(id);
  if (stream == nullptr) return;
  if (const auto why = stream->end_head(request_ended)) {
    stream->plan = refusal(why->status, why->reason);
  } else {
    context_.stats.request();
    stream->plan = plan_for(stream->request, context_.stats, reused_);
    reused_ = true;
  }
  if (!request_ended && stream->request.expects_continue) {
    session_.interim(id, {{":status", "100"}});
    ++stream->interim_heads;
  }
  if (!request_ended && !stream->echoes()) session_.widen(id);
  if (request_ended || stream->echoes()) answer(*stream);
}

// Reads and forgets, but for an echo, whose window opens as it is answered.
void Http2Connection::body_came(std::int32_t id, std::span<const std::byte> bytes) {
  session_.consume_connection(bytes.size());
  Http2Stream* const stream = find(id);
  if (stream == nullptr || !stream->echo) return session_.consume_stream(id, bytes.size());
  stream->echo->bytes.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  wake_stream(*stream);
}

void Http2Connection::request_ended(std::int32_t id) {
  Http2Stream* const stream = find(id);
  if (stream == nullptr) return;
  stream->request_ended = true;
  if (stream->echoes()) {
    wake_stream(*stream);
  } else {
    answer(*stream);
  }
}

// --- the response

void Http2Connection::answer(Http2Stream& stream) {
  switch (stream.plan->instead) {
    case Instead::nothing: return respond(stream);
    case Instead::hang: return;
    case Instead::reset: return session_.reset(stream.id, stream.plan->body.reset_code);
    case Instead::refuse: return session_.goaway(std::max(stream.id - 2, 0));
    case Instead::drip:
    case Instead::close_head:
      return session_.respond(stream.id, {{":status", "200"}, {"content-type", "text/plain"}},
                              true);
    case Instead::close:
    case Instead::raw: return close_instead(stream);
  }
}

void Http2Connection::respond(Http2Stream& stream) {
  stream.record = context_.next_body++;
  context_.stats.body_began(stream.record,
                            stream.request.path.empty() ? std::string() : stream.request.target(),
                            stream.id);
  const std::uint64_t announced = stream.interim_heads;
  const Http2Session::Fields fields = stream.begin(now_);
  for (std::uint64_t i = 0; i < stream.interim_heads; ++i) {
    session_.interim(stream.id, {{":status", "103"}, {"link", "</" + std::to_string(i) + ">"}});
  }
  stream.interim_heads += announced;
  session_.respond(stream.id, fields, stream.has_body(now_));
  touched_.insert(stream.id);
}

void Http2Connection::close_instead(Http2Stream& stream) {
  if (end_ != End::none) return;
  if (stream.plan->instead == Instead::raw) finale_ = stream.plan->body.text;
  end(stream.plan->cut == Cut::fin ? End::fin : End::reset, BodyState::cut);
}

void Http2Connection::head_comes(std::int32_t id) {
  const Http2Stream* const stream = find(id);
  if (stream == nullptr) return;
  const Instead instead = stream->plan->instead;
  if (instead == Instead::drip || instead == Instead::close_head) open_head_ = id;
}

void Http2Connection::head_went(std::int32_t id, bool last) {
  Http2Stream* const stream = find(id);
  if (stream == nullptr) return;
  if (stream->interim_heads > 0) {
    --stream->interim_heads;
    return;
  }
  stream->head_went = true;
  stream->all_framed = last;
  if (last) {
    outbox_.add_end(id);
    ++stream->frames_in_outbox;
  }
  progressed(*stream);
}

std::optional<Http2Events::Offer> Http2Connection::next_data(std::int32_t id, std::size_t most) {
  Http2Stream* const stream = find(id);
  if (stream == nullptr) return std::nullopt;
  std::optional<Clock::time_point> wake_at;
  const auto offer = stream->next_data(most, now_, wake_at);
  set_timer(*stream, wake_at);
  return offer;
}

bool Http2Connection::take_data(std::int32_t id, std::span<const std::byte> header,
                                std::size_t bytes, bool last) {
  Http2Stream* const stream = find(id);
  if (stream == nullptr) return false;
  const bool by_itself = stream->plan->body.write_size > 0;
  if (outbox_full() || end_ == End::fin || end_ == End::reset || !session_.alive()) return false;
  if (by_itself && !outbox_.empty()) return false;
  stream->frame(outbox_, header, bytes, last);
  if (stream->echo) session_.consume_stream(id, bytes);
  alone_ = by_itself;
  progressed(*stream);
  return true;
}

// After each frame of a body: what its URL wants to happen there, whatever the windows say.
void Http2Connection::progressed(Http2Stream& stream) {
  touched_.insert(stream.id);
  auto& goaway_after = stream.plan->goaway_after;
  if (goaway_after && stream.framed() >= *goaway_after) {
    goaway_after.reset();
    session_.goaway(session_.last_stream());
  }
  if (!stream.is_cut(now_)) return;
  stream.was_cut = true;
  if (stream.plan->body.cut == Cut::rst) {
    session_.reset(stream.id, stream.plan->body.reset_code);
  } else if (end_ == End::none) {
    end(End::fin, BodyState::cut);
  }
}

// Something came for an echo.
void Http2Connection::wake_stream(Http2Stream& stream) {
  if (stream.wake_at) return;  // the rate holds it
  session_.resume(stream.id);
  touched_.insert(stream.id);
}

// --- ends

void Http2Connection::peer_reset(std::int32_t id) {
  if (Http2Stream* const stream = find(id)) stream->peer_reset = true;
}

void Http2Connection::peer_goaway(Http2Error why) {
  if (why == Http2Error::none || end_ != End::none) return;
  terminate(Http2Error::none, BodyState::vanished);
}

void Http2Connection::pong() { unanswered_since_.reset(); }

void Http2Connection::closed(std::int32_t id) {
  Http2Stream* const stream = find(id);
  if (stream == nullptr) return;
  stream->closed = true;
  if (id == open_head_ && drip_at_) end_drip();
  set_timer(*stream, {});
  if (stream->peer_reset && stream->plan) {
    context_.stats.request_vanished();
    context_.stats.body_ended(stream->record, BodyState::vanished);
  }
  retire(*stream);
}

// Forgets a stream that is over and wholly sent.
void Http2Connection::retire(Http2Stream& stream) {
  if (!stream.closed || stream.frames_in_outbox > 0) return;
  if (stream.record != 0) context_.stats.body_ended(stream.record, BodyState::cut);
  touched_.erase(stream.id);
  streams_.erase(stream.id);
}

}  // namespace weir::harness
