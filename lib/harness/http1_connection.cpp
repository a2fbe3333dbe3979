#include "harness/http1_connection.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <charconv>

#include "harness/router.hpp"

namespace weir::harness {
namespace {

constexpr std::size_t kMaxHead = 64 * 1024;  // bytes of a request's head
constexpr std::size_t kTurn = 1024 * 1024;   // bytes moved before others get their turn
constexpr std::size_t kStepCost = 4096;      // of that, the least that a read or write costs

// False for text that no request begins with: found before any line end comes.
bool may_be_request(std::string_view text) {
  const std::size_t lf = text.find('\n');
  if (lf != text.npos && (lf == 0 || text[lf - 1] != '\r')) return false;
  return text.empty() || (text.front() >= 'A' && text.front() <= 'Z') ||
         (text.front() >= 'a' && text.front() <= 'z');
}

iovec part_of(const void* data, std::size_t size) { return {const_cast<void*>(data), size}; }

}  // namespace

// `data` goes after what is unsent, `suffix` after it.
struct Http1Connection::Next {
  BodyCursor::Step step;
  std::span<const std::byte> data;
  std::string_view suffix;
};

Http1Connection::Http1Connection(Fd fd, std::unique_ptr<Stream> stream, ConnectionContext& context,
                                 std::string ahead)
    : fd_(std::move(fd)), stream_(std::move(stream)), context_(context), in_(std::move(ahead)) {}

Wish Http1Connection::drive(std::uint32_t events, Clock::time_point now) {
  if ((events & EPOLLRDHUP) != 0) peer_finished_ = true;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
    vanished();
    return {Wish::Kind::closed, {}};
  }
  budget_ = kTurn;
  Went went = Went::on;
  while (went == Went::on) {
    if (closing_) return closing_->drive(context_.scratch, now);
    if (budget_ == 0) return {Wish::Kind::again, {}};
    wake_at_.reset();
    went = step(now);
  }
  const bool answering = phase_ == Phase::respond || phase_ == Phase::drip || phase_ == Phase::hang;
  if (went == Went::waiting && answering && peer_finished_) went = vanished();
  if (went == Went::closed) return {Wish::Kind::closed, {}};
  return {Wish::Kind::wait, wake_at_};
}

Http1Connection::Went Http1Connection::step(Clock::time_point now) {
  switch (phase_) {
    case Phase::head: return read_head();
    case Phase::body: return read_body(now);
    case Phase::respond: return respond(now);
    case Phase::drip: return drip(now);
    case Phase::hang: return Went::waiting;
  }
  return Went::closed;
}

// --- the request

Http1Connection::Went Http1Connection::read_head() {
  while (unread().substr(0, 2) == "\r\n") consume_in(2);  // RFC 9112 section 2.2
  const std::string_view text = unread();
  const auto size = head_size(text, searched_);
  if (size.value_or(text.size()) > kMaxHead) {
    refuse({431, "the head is larger than 64 KiB"});
  } else if (size) {
    serve(*size);
  } else if (text != "\r" && !may_be_request(text)) {
    refuse({400, "not a request"});
  } else {
    searched_ = text.size();
    return read_more(kMaxHead);
  }
  return Went::on;
}

// Appends what the socket has to `in_`.
Http1Connection::Went Http1Connection::read_more(std::size_t most) {
  const std::span<std::byte> room(context_.scratch);
  const IoResult got = stream_->read(room.first(std::min(room.size(), most)));
  if (got.status == IoResult::Status::blocked) return Went::waiting;
  if (got.status == IoResult::Status::closed) return vanished();
  in_.append(reinterpret_cast<const char*>(room.data()), got.bytes);
  spend(got.bytes);
  return Went::on;
}

void Http1Connection::serve(std::size_t head_size) {
  Request request;
  if (const auto why = parse_head(unread().substr(0, head_size), request)) return refuse(*why);
  consume_in(head_size);
  context_.stats.request();
  ResponsePlan plan = plan_for(request, context_.stats, reused_);
  reused_ = true;
  const bool announce = request.expects_continue && request.framing != BodyFraming::none;
  exchange_ = std::make_unique<Http1Exchange>(std::move(request), std::move(plan));
  if (announce) out_ += "HTTP/1.1 100 Continue\r\n\r\n";
  phase_ = Phase::body;
}

void Http1Connection::refuse(const Refusal& why) {
  Request request;
  request.keep_alive = false;
  exchange_ = std::make_unique<Http1Exchange>(std::move(request), refusal(why.status, why.reason));
  phase_ = Phase::body;  // it has none
}

// Reads and forgets, but for an echo, whose body is read as it is answered.
Http1Connection::Went Http1Connection::read_body(Clock::time_point now) {
  if (!unsent().empty()) return flush();
  const bool echoes = exchange_->plan.body.source == BodySource::echo;
  while (!echoes && !exchange_->decoder.done()) {
    const auto step = exchange_->decoder.next(std::as_bytes(std::span(unread())), kTurn);
    consume_in(step.consumed);
    if (step.bad) {
      refuse({400, "the body's framing is broken"});
      return Went::on;
    }
    if (exchange_->decoder.done() || step.consumed > 0) continue;
    const Went went = read_more(kTurn);
    if (went != Went::on || budget_ == 0) return went;
  }
  begin_response(now);
  return Went::on;
}

// Moves the request's body into the echo's buffer, as far as rate and room allow.
Http1Connection::Went Http1Connection::pump_echo(Clock::time_point now) {
  EchoBuffer& echo = *exchange_->echo;
  BodyDecoder& decoder = exchange_->decoder;
  echo.ready_at.reset();
  while (!decoder.done() && echo.room() > 0) {
    const auto most = static_cast<std::size_t>(echo.rate.allowed(echo.room(), now));
    if (most == 0) {
      echo.ready_at = echo.rate.ready_at();
      return Went::waiting;
    }
    if (unread().empty()) {
      const Went went = read_more(most);
      if (went != Went::on) return went;
    }
    const auto step = decoder.next(std::as_bytes(std::span(unread())), most);
    if (step.bad) return Went::closed;
    echo.bytes.append(reinterpret_cast<const char*>(step.data.data()), step.data.size());
    echo.rate.used(step.data.size());
    consume_in(step.consumed);
  }
  return Went::on;
}

// --- the response

void Http1Connection::begin_response(Clock::time_point now) {
  Http1Exchange& exchange = *exchange_;
  phase_ = Phase::respond;
  switch (exchange.plan.instead) {
    case Instead::nothing:
      exchange.id = context_.next_body++;
      context_.stats.body_began(
          exchange.id, exchange.request.path.empty() ? std::string() : exchange.request.target());
      out_ += exchange.begin(now);
      return;
    case Instead::hang: phase_ = Phase::hang; return;
    case Instead::reset:
    case Instead::refuse:  // of HTTP/2 only, which the routes see to
    case Instead::close: return cut(exchange.plan.cut, now);
    case Instead::drip:
      phase_ = Phase::drip;
      dripped_ = 0;
      drip_at_ = now;
      out_ += "HTTP/1.1 200 OK\r\n";
      return;
    case Instead::close_head:
    case Instead::raw: {
      const bool raw = exchange.plan.instead == Instead::raw;
      out_ += raw ? exchange.plan.body.text : "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
      BodyPlan nothing_more;
      nothing_more.cut = exchange.plan.cut;
      exchange.cursor.emplace(nothing_more, now);
      return;
    }
  }
}

Http1Connection::Went Http1Connection::respond(Clock::time_point now) {
  if (exchange_->echo && pump_echo(now) == Went::closed) return vanished();
  const Next next = next_data(now);
  if (next.data.empty() && unsent().empty()) return after_out(next, now);
  return send(next);
}

// What to send now, beside what is unsent. Announces the chunk that the data begins.
Http1Connection::Next Http1Connection::next_data(Clock::time_point now) {
  Http1Exchange& exchange = *exchange_;
  BodyCursor& cursor = *exchange.cursor;
  const bool chunked = exchange.framing == Framing::chunked;
  const bool echo_ended = exchange.echo && exchange.decoder.done() && exchange.echo->bytes.empty();
  if (exchange.encoded) exchange.encoded->fill();
  if (exchange.events) exchange.events->fill(now);
  if (echo_ended || (exchange.encoded && exchange.encoded->ended()) ||
      (exchange.events && exchange.events->ended())) {
    cursor.source_ended();
  }
  Next next{cursor.next(now), {}, {}};
  if (next.step.action == BodyCursor::Action::end && chunked && !exchange.last_chunk) {
    out_ += "0\r\n\r\n";
    exchange.last_chunk = true;
  }
  // Where writes are counted, the head is one of its own.
  const bool head_alone = exchange.plan.body.write_size > 0 && !exchange.head_sent;
  if (next.step.action != BodyCursor::Action::send || head_alone) return next;

  std::uint64_t most = std::min<std::uint64_t>(next.step.bytes, PatternWindow::kSize);
  if (chunked && exchange.chunk_left > 0) most = std::min(most, exchange.chunk_left);
  next.data = exchange.peek(context_.window, cursor.offset(), static_cast<std::size_t>(most));
  if (!chunked || next.data.empty()) return next;
  if (exchange.chunk_left == 0) {
    exchange.chunk_left = exchange.next_chunk(next.data.size());
    std::array<char, 16> digits;
    const auto end =
        std::to_chars(digits.data(), digits.data() + digits.size(), exchange.chunk_left, 16).ptr;
    out_.append(digits.data(), end).append("\r\n");
  }
  if (next.data.size() >= exchange.chunk_left) {
    next.data = next.data.first(static_cast<std::size_t>(exchange.chunk_left));
    const bool last = exchange.plan.body.length == cursor.offset() + next.data.size();
    next.suffix = last ? "\r\n0\r\n\r\n" : "\r\n";
  }
  return next;
}

// One write of all that is at hand, and the books after it.
Http1Connection::Went Http1Connection::send(const Next& next) {
  Http1Exchange& exchange = *exchange_;
  const std::string_view before = unsent();
  std::array<iovec, 3> parts;
  std::size_t count = 0;
  if (!before.empty()) parts[count++] = part_of(before.data(), before.size());
  if (!next.data.empty()) parts[count++] = part_of(next.data.data(), next.data.size());
  if (!next.suffix.empty()) parts[count++] = part_of(next.suffix.data(), next.suffix.size());
  const IoResult done = stream_->write(std::span(parts).first(count));
  if (done.status == IoResult::Status::closed) return vanished();
  if (done.status == IoResult::Status::blocked) {
    if (exchange.id != 0) context_.stats.blocked(exchange.id, Clock::now());
    return Went::waiting;
  }
  const std::size_t from_out = std::min(done.bytes, before.size());
  const std::size_t from_data = std::min(done.bytes - from_out, next.data.size());
  const std::size_t from_suffix = done.bytes - from_out - from_data;
  context_.stats.sent(exchange.id, done.bytes - from_data, from_data);
  consume_out(from_out);
  if (unsent().empty()) exchange.head_sent = true;
  if (from_data > 0) exchange.cursor->sent(from_data);
  if (exchange.echo) exchange.echo->bytes.erase(0, from_data);
  if (exchange.encoded) exchange.encoded->bytes.erase(0, from_data);
  if (exchange.events) exchange.events->bytes.erase(0, from_data);
  if (exchange.framing == Framing::chunked) exchange.chunk_left -= from_data;
  if (from_data > 0 && from_data == next.data.size()) {
    out_.append(next.suffix.substr(from_suffix));
    if (next.suffix.size() > 2) exchange.last_chunk = true;
  }
  spend(done.bytes);
  return Went::on;
}

// Sends what is unsent where there is no body to follow.
Http1Connection::Went Http1Connection::flush() { return send(Next{}); }

// Everything is sent that may be: what now?
Http1Connection::Went Http1Connection::after_out(const Next& next, Clock::time_point now) {
  switch (next.step.action) {
    case BodyCursor::Action::send: {  // an echo that waits for its request, events for their time
      const auto ready_at =
          exchange_->events ? exchange_->events->ready_at() : exchange_->echo->ready_at;
      return ready_at ? wait_until(*ready_at) : Went::waiting;
    }
    case BodyCursor::Action::wait: return wait_until(next.step.until);
    case BodyCursor::Action::stall: return Went::waiting;
    case BodyCursor::Action::end: finish(now); return Went::on;
    case BodyCursor::Action::cut:
      cut(exchange_->plan.instead == Instead::nothing ? exchange_->plan.body.cut
                                                      : exchange_->plan.cut,
          now);
      return Went::on;
  }
  return Went::closed;
}

Http1Connection::Went Http1Connection::drip(Clock::time_point now) {
  if (now >= drip_at_ && unsent().empty()) {
    out_ += "X-Drip-" + std::to_string(dripped_++) + ": drop\r\n";
    drip_at_ = now + exchange_->plan.drip;
  }
  return unsent().empty() ? wait_until(drip_at_) : flush();
}

Http1Connection::Went Http1Connection::wait_until(Clock::time_point when) {
  wake_at_ = when;
  return Went::waiting;
}

void Http1Connection::spend(std::size_t bytes) {
  budget_ -= std::min(budget_, std::max(bytes, kStepCost));
}

// --- ends

void Http1Connection::finish(Clock::time_point now) {
  const bool close = exchange_->close_after || !exchange_->decoder.done();
  context_.stats.body_ended(exchange_->id, BodyState::finished);
  exchange_.reset();
  phase_ = Phase::head;
  searched_ = 0;
  if (!close) return;
  closing_.emplace(Closing::How::goodbye, fd_.get(), *stream_, now);
}

void Http1Connection::cut(Cut how, Clock::time_point now) {
  context_.stats.body_ended(exchange_->id, BodyState::cut);
  exchange_.reset();
  closing_.emplace(how == Cut::fin ? Closing::How::fin : Closing::How::reset, fd_.get(), *stream_,
                   now);
}

Http1Connection::Went Http1Connection::vanished() {
  if (exchange_) {
    context_.stats.request_vanished();
    context_.stats.body_ended(exchange_->id, BodyState::vanished);
    exchange_.reset();
  }
  return Went::closed;
}

// --- buffers, which an idle connection does not keep

void Http1Connection::consume_in(std::size_t bytes) {
  in_begin_ += bytes;
  searched_ = 0;
  if (in_begin_ < in_.size()) return;
  std::string().swap(in_);
  in_begin_ = 0;
}

void Http1Connection::consume_out(std::size_t bytes) {
  out_begin_ += bytes;
  if (out_begin_ < out_.size()) return;
  out_.clear();
  out_begin_ = 0;
  if (out_.capacity() > 1024) std::string().swap(out_);
}

}  // namespace weir::harness
