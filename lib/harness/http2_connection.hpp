#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "harness/closing.hpp"
#include "harness/connection.hpp"
#include "harness/http2_outbox.hpp"
#include "harness/http2_session.hpp"
#include "harness/http2_stream.hpp"
#include "harness/socket.hpp"

namespace weir::harness {

/// HTTP/2 on one socket. Frames are pulled from the session into the outbox, which never holds more
/// than one write's worth, and from there go to the kernel: what the client's windows or its kernel
/// refuse is not framed, and what is framed is not computed before it is written.
///
///   what ends it                 how
///   all said (GOAWAY)            outbox is sent, close_notify, FIN
///   a route that closes          control frames and outbox are sent, FIN or RST
///   an unanswered PING           GOAWAY, FIN; what the socket does not take at once is dropped
///   the client's FIN or RST      closed
///
/// A header block that a route leaves open holds up all other streams: nothing else may be sent.
/// Spec: RFC 9113.
class Http2Connection final : public Connection, private Http2Events {
 public:
  /// `ahead`: what was read of it already.
  Http2Connection(Fd fd, std::unique_ptr<Stream> stream, ConnectionContext& context,
                  std::string ahead);
  Wish drive(std::uint32_t events, Clock::time_point now) override;

 private:
  enum class Went { on, waiting, closed };
  enum class End { none, goaway, fin, reset };

  // In and out: http2_connection.cpp.
  Wish take_turn();
  Went read();
  void receive(std::span<const std::byte> bytes);
  Went write();
  void fill();
  void add_frames(std::span<const std::byte> frames);
  bool outbox_full() const;
  void taken(const Http2Outbox::Taken& part);
  void mark_blocked();
  void run_timers();
  void set_timer(Http2Stream& stream, std::optional<Clock::time_point> at);
  bool pings() const;
  void keep_alive();
  void drip();
  void add_drop();
  void end_drip();
  std::optional<Clock::time_point> next_wake() const;
  void end(End how, BodyState bodies);
  void terminate(Http2Error why, BodyState bodies);
  Wish close();
  Wish vanish();
  void forget_streams(BodyState state);
  void spend(std::size_t bytes);

  // From request to response: http2_requests.cpp.
  void head_began(std::int32_t id) override;
  void field(std::int32_t id, std::string_view name, std::string_view value) override;
  void head_ended(std::int32_t id, bool request_ended) override;
  void body_came(std::int32_t id, std::span<const std::byte> bytes) override;
  void request_ended(std::int32_t id) override;
  void peer_reset(std::int32_t id) override;
  void peer_goaway(Http2Error why) override;
  void pong() override;
  void closed(std::int32_t id) override;
  std::optional<Offer> next_data(std::int32_t id, std::size_t most) override;
  bool take_data(std::int32_t id, std::span<const std::byte> header, std::size_t bytes,
                 bool last) override;
  void head_comes(std::int32_t id) override;
  void head_went(std::int32_t id, bool last) override;

  void answer(Http2Stream& stream);
  void respond(Http2Stream& stream);
  void close_instead(Http2Stream& stream);
  void progressed(Http2Stream& stream);
  void wake_stream(Http2Stream& stream);
  void retire(Http2Stream& stream);
  Http2Stream* find(std::int32_t id);

  Fd fd_;
  std::unique_ptr<Stream> stream_;  // before fd_ closes
  ConnectionContext& context_;
  Http2Session session_;
  Http2Outbox outbox_;
  std::map<std::int32_t, Http2Stream> streams_;
  std::set<std::int32_t> touched_;  // since the last look at what is blocked
  std::set<std::pair<Clock::time_point, std::int32_t>> timers_;
  Clock::time_point now_{};
  std::size_t batch_;       // bytes in the outbox at most, but for one frame
  std::size_t budget_ = 0;  // bytes left in this turn
  bool socket_full_ = false;
  bool alone_ = false;          // a frame is in the outbox that must be written by itself
  bool deaf_ = false;           // the peer broke the protocol
  bool reused_ = false;         // a request was served before
  std::int32_t open_head_ = 0;  // stream whose header block stays open
  bool sealed_ = false;         // the session is not pulled any more, or not now
  std::uint64_t dripped_ = 0;
  std::optional<Clock::time_point> drip_at_;
  End end_ = End::none;
  BodyState end_state_ = BodyState::cut;
  std::string finale_;  // bytes to send before the end
  std::optional<Clock::time_point> end_by_;
  std::optional<Closing> closing_;
  std::optional<Clock::time_point> ping_at_;
  std::optional<Clock::time_point> unanswered_since_;
};

}  // namespace weir::harness
