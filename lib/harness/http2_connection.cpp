#include "harness/http2_connection.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <array>

namespace weir::harness {
namespace {

constexpr std::size_t kTurn = 1024 * 1024;      // bytes moved before others get their turn
constexpr std::size_t kStepCost = 4096;         // of that, the least that a read or write costs
constexpr std::size_t kLeastBatch = 16 * 1024;  // bytes framed ahead of a socket that fills up
constexpr std::size_t kFirstBatch = 64 * 1024;
constexpr std::size_t kMaxFrames = 1024;            // in one write
constexpr std::chrono::milliseconds kEndWait(100);  // for a GOAWAY to leave

constexpr std::size_t kFrameHeader = 9;
constexpr unsigned kContinuation = 9;
constexpr unsigned kHeaders = 1;
constexpr unsigned kEndHeaders = 4;
constexpr std::size_t kDrop = 20;  // bytes of a header field that drips
constexpr std::uint64_t kDropsInFrame = 800;

std::int32_t stream_of(std::span<const std::byte> frame) {
  std::uint32_t id = 0;
  for (std::size_t i = 5; i < kFrameHeader; ++i) {
    id = id << 8 | std::to_integer<std::uint32_t>(frame[i]);
  }
  return static_cast<std::int32_t>(id & 0x7FFFFFFF);
}

bool is_head(std::span<const std::byte> frame) {
  const auto type = std::to_integer<unsigned>(frame[3]);
  return type == kHeaders || type == kContinuation;
}

std::string continuation_header(std::int32_t stream, std::size_t size, unsigned flags) {
  const auto id = static_cast<std::uint32_t>(stream);
  std::string frame;
  for (const std::size_t value :
       {size >> 16, size >> 8, size, std::size_t{kContinuation}, std::size_t{flags},
        std::size_t{id >> 24}, std::size_t{id >> 16}, std::size_t{id >> 8}, std::size_t{id}}) {
    frame += static_cast<char>(value & 0xFF);
  }
  return frame;
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

Http2Connection::Http2Connection(Fd fd, std::unique_ptr<Stream> stream, ConnectionContext& context,
                                 std::string ahead)
    : fd_(std::move(fd)),
      stream_(std::move(stream)),
      context_(context),
      session_(*this),
      now_(Clock::now()),
      batch_(kFirstBatch) {
  context_.stats.http2_opened();
  if (context_.ping_interval.count() > 0) ping_at_ = now_ + context_.ping_interval;
  receive(bytes_of(ahead));
}

Wish Http2Connection::drive(std::uint32_t events, Clock::time_point now) {
  now_ = now;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return vanish();
  if (closing_) return closing_->drive(context_.scratch, now);
  budget_ = kTurn;
  socket_full_ = false;
  run_timers();
  return take_turn();
}

Wish Http2Connection::take_turn() {
  Went reading = Went::on;
  Went writing = Went::on;
  while (reading == Went::on || writing == Went::on) {
    if (budget_ == 0) return {Wish::Kind::again, {}};
    reading = read();
    if (reading != Went::closed) writing = write();
    if (reading == Went::closed || writing == Went::closed) return vanish();
    const bool sent_all = sealed_ && outbox_.empty();
    if (end_ != End::none && (sent_all || (end_by_ && now_ >= *end_by_))) {
      return close();
    }
  }
  mark_blocked();
  return {Wish::Kind::wait, next_wake()};
}

// --- in

Http2Connection::Went Http2Connection::read() {
  const IoResult got = stream_->read(context_.scratch);
  if (got.status == IoResult::Status::closed) return Went::closed;
  if (got.status == IoResult::Status::blocked) return Went::waiting;
  receive(std::span(context_.scratch).first(got.bytes));
  spend(got.bytes);
  return Went::on;
}

void Http2Connection::receive(std::span<const std::byte> bytes) {
  if (deaf_ || session_.receive(bytes)) return;
  deaf_ = true;
  terminate(Http2Error::protocol, BodyState::vanished);
}

// --- out

// Pulls frames until one write's worth is at hand.
void Http2Connection::fill() {
  while (!sealed_ && !outbox_full()) {
    const std::span<const std::byte> frames = session_.pull();
    if (!frames.empty()) {
      add_frames(frames);
      continue;
    }
    if (outbox_full()) return;
    if (end_ == End::none && !session_.alive()) end(End::goaway, BodyState::vanished);
    if (end_ == End::none) return;
    sealed_ = true;
    if (!finale_.empty()) outbox_.add(0, bytes_of(finale_));
  }
}

// Heads belong to their stream, which is blocked while they are.
void Http2Connection::add_frames(std::span<const std::byte> frames) {
  Http2Stream* const stream = is_head(frames) ? find(stream_of(frames)) : nullptr;
  if (stream == nullptr) return outbox_.add(0, frames);
  ++stream->frames_in_outbox;
  touched_.insert(stream->id);
  if (stream->id != open_head_) return outbox_.add(stream->id, frames);
  std::string left_open(reinterpret_cast<const char*>(frames.data()), frames.size());
  left_open[4] = static_cast<char>(left_open[4] & ~static_cast<int>(kEndHeaders));
  outbox_.add(stream->id, bytes_of(left_open));
  sealed_ = true;
  if (stream->plan->instead == Instead::drip) {
    drip_at_ = now_;
  } else {
    end(stream->plan->cut == Cut::fin ? End::fin : End::reset, BodyState::cut);
  }
}

bool Http2Connection::outbox_full() const {
  return alone_ || outbox_.size() >= batch_ || outbox_.frames() >= kMaxFrames;
}

Http2Connection::Went Http2Connection::write() {
  if (socket_full_) return Went::waiting;
  drip();
  fill();
  if (outbox_.empty()) return Went::waiting;
  std::span<const std::byte> bytes = outbox_.render(context_.batch_room(batch_));
  const bool whole_batch = bytes.size() == batch_;
  if (bytes.empty()) outbox_.take(0, [this](const auto& part) { taken(part); });
  while (!bytes.empty()) {
    const iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    const IoResult done = stream_->write({&part, 1});
    if (done.status == IoResult::Status::closed) return Went::closed;
    if (done.status == IoResult::Status::blocked) {
      socket_full_ = true;
      batch_ = std::max(batch_ / 2, kLeastBatch);
      return Went::waiting;
    }
    outbox_.take(done.bytes, [this](const Http2Outbox::Taken& one) { taken(one); });
    bytes = bytes.subspan(done.bytes);
    spend(done.bytes);
  }
  if (outbox_.empty()) alone_ = false;
  if (whole_batch) batch_ = std::min(batch_ * 2, ConnectionContext::kMaxBatch);
  return Went::on;
}

// The books, after the kernel took a part of the outbox.
void Http2Connection::taken(const Http2Outbox::Taken& part) {
  Http2Stream* const stream = part.stream == 0 ? nullptr : find(part.stream);
  const std::uint64_t record = stream == nullptr ? 0 : stream->record;
  if (part.framing + part.body > 0) context_.stats.sent(record, part.framing, part.body);
  if (stream == nullptr) return;
  if (part.last) context_.stats.body_ended(record, BodyState::finished);
  if (part.whole) --stream->frames_in_outbox;
  touched_.insert(stream->id);
  if (part.whole) retire(*stream);
}

// A body is blocked if it has bytes that its window, the connection's or the socket refuses. Only
// what moved since the last look can have become so.
void Http2Connection::mark_blocked() {
  if (drip_at_ && outbox_.empty()) return;  // it is we who hold up the others
  for (const std::int32_t id : std::exchange(touched_, {})) {
    Http2Stream* const stream = find(id);
    if (stream == nullptr || stream->record == 0) continue;
    const Http2Stream::Held held = stream->held(now_);
    if (held.by == Http2Stream::Held::By::client) {
      context_.stats.blocked(stream->record, Clock::now());
    } else if (held.by == Http2Stream::Held::By::pace && !stream->wake_at) {
      set_timer(*stream, held.until);  // to look again, should the window be exhausted
    }
  }
}

// A field every so often. A frame has room for many of them, as clients limit the frames of a head.
void Http2Connection::drip() {
  if (!drip_at_ || now_ < *drip_at_ || !outbox_.empty()) return;
  add_drop();
  drip_at_ = now_ + find(open_head_)->plan->drip;
}

void Http2Connection::add_drop() {
  if (dripped_ % kDropsInFrame == 0) {
    outbox_.add(0, bytes_of(continuation_header(open_head_, kDropsInFrame * kDrop, 0)));
  }
  const std::string number = std::to_string(dripped_++ % 1'000'000);
  const std::string name = "x-drip-" + std::string(6 - number.size(), '0') + number;
  // A literal that is not to be indexed: RFC 7541 section 6.2.2.
  outbox_.add(0, bytes_of(std::string(1, '\0') + '\x0d' + name + "\x04" + "drop"));
}

// The client lost patience with the head that drips: others may go on behind it.
void Http2Connection::end_drip() {
  while (dripped_ % kDropsInFrame != 0) add_drop();
  outbox_.add(0, bytes_of(continuation_header(open_head_, 0, kEndHeaders)));
  drip_at_.reset();
  open_head_ = 0;
  sealed_ = false;
}

void Http2Connection::spend(std::size_t bytes) {
  budget_ -= std::min(budget_, std::max(bytes, kStepCost));
}

// --- time

void Http2Connection::run_timers() {
  while (!timers_.empty() && timers_.begin()->first <= now_) {
    Http2Stream& stream = *find(timers_.begin()->second);
    set_timer(stream, {});
    session_.resume(stream.id);
    touched_.insert(stream.id);
  }
  keep_alive();
}

void Http2Connection::set_timer(Http2Stream& stream, std::optional<Clock::time_point> at) {
  if (stream.wake_at) timers_.erase({*stream.wake_at, stream.id});
  if (at) timers_.emplace(*at, stream.id);
  stream.wake_at = at;
}

// Inside an open header block there can be no PING.
bool Http2Connection::pings() const { return ping_at_ && end_ == End::none && !drip_at_; }

void Http2Connection::keep_alive() {
  if (!pings()) return;
  const bool limited = context_.ping_timeout.count() > 0;
  if (limited && unanswered_since_ && now_ >= *unanswered_since_ + context_.ping_timeout) {
    context_.stats.ping_cut();
    return terminate(Http2Error::none, BodyState::cut);
  }
  if (now_ < *ping_at_) return;
  ping_at_ = now_ + context_.ping_interval;
  if (unanswered_since_) return;
  unanswered_since_ = now_;
  session_.ping();
  context_.stats.ping_sent();
}

std::optional<Clock::time_point> Http2Connection::next_wake() const {
  std::optional<Clock::time_point> wake;
  const auto consider = [&](std::optional<Clock::time_point> at) {
    if (at && (!wake || *at < *wake)) wake = at;
  };
  if (!timers_.empty()) consider(timers_.begin()->first);
  if (outbox_.empty()) consider(drip_at_);
  consider(end_by_);
  if (!pings()) return wake;
  consider(ping_at_);
  if (unanswered_since_ && context_.ping_timeout.count() > 0) {
    consider(*unanswered_since_ + context_.ping_timeout);
  }
  return wake;
}

// --- ends

// What is framed is sent before; `bodies`: how those that are not over end.
void Http2Connection::end(End how, BodyState bodies) {
  end_ = how;
  end_state_ = bodies;
}

// GOAWAY, and what the socket does not take in time is dropped.
void Http2Connection::terminate(Http2Error why, BodyState bodies) {
  session_.terminate(why);
  end(End::goaway, bodies);
  end_by_ = now_ + kEndWait;
}

Wish Http2Connection::close() {
  forget_streams(end_state_);
  Closing::How how = Closing::How::fin;
  if (end_ == End::reset) how = Closing::How::reset;
  if (end_ == End::goaway && !end_by_) how = Closing::How::goodbye;
  if (end_ == End::goaway && end_by_) stream_->finish();  // if the socket takes it
  closing_.emplace(how, fd_.get(), *stream_, now_);
  return closing_->drive(context_.scratch, now_);
}

Wish Http2Connection::vanish() {
  forget_streams(BodyState::vanished);
  return {Wish::Kind::closed, {}};
}

void Http2Connection::forget_streams(BodyState state) {
  for (const auto& [id, stream] : streams_) {
    if (!stream.plan) continue;
    if (state == BodyState::vanished) context_.stats.request_vanished();
    context_.stats.body_ended(stream.record, state);
  }
  streams_.clear();
  timers_.clear();
  touched_.clear();
}

}  // namespace weir::harness
