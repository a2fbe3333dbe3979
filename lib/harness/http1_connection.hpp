#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "harness/closing.hpp"
#include "harness/connection.hpp"
#include "harness/http1_exchange.hpp"
#include "harness/socket.hpp"

namespace weir::harness {

/// HTTP/1.1 on one socket, one request after the other.
///
///   phase     does                                       then
///   head      reads until a blank line                   body, or respond with a refusal
///   body      reads and forgets the request's body       respond, drip, hang; Closing
///   respond   sends the head, then body as allowed        head; Closing if it ends here
///   drip      adds a field each time the timer fires     -
///   hang      nothing                                    -
///
/// In every phase: RST, or FIN where the client should be reading, is the end.
/// Spec: RFC 9112.
class Http1Connection final : public Connection {
 public:
  /// `ahead`: what was read of it already.
  Http1Connection(Fd fd, std::unique_ptr<Stream> stream, ConnectionContext& context,
                  std::string ahead = {});

  Wish drive(std::uint32_t events, Clock::time_point now) override;

 private:
  enum class Phase { head, body, respond, drip, hang };
  enum class Went { on, waiting, closed };  // one step: worth another, or not now
  struct Next;                              // what `respond` may send now

  Went step(Clock::time_point now);
  Went read_head();
  Went read_more(std::size_t most);
  Went read_body(Clock::time_point now);
  Went pump_echo(Clock::time_point now);
  Went respond(Clock::time_point now);
  Went drip(Clock::time_point now);

  void serve(std::size_t head_size);
  void refuse(const Refusal& why);
  void begin_response(Clock::time_point now);
  Next next_data(Clock::time_point now);
  Went send(const Next& next);
  Went flush();
  Went wait_until(Clock::time_point when);
  Went after_out(const Next& next, Clock::time_point now);
  void finish(Clock::time_point now);
  void cut(Cut how, Clock::time_point now);
  Went vanished();

  std::string_view unread() const { return std::string_view(in_).substr(in_begin_); }
  std::string_view unsent() const { return std::string_view(out_).substr(out_begin_); }
  void spend(std::size_t bytes);
  void consume_in(std::size_t bytes);
  void consume_out(std::size_t bytes);

  Fd fd_;
  std::unique_ptr<Stream> stream_;  // before fd_ closes
  ConnectionContext& context_;
  std::unique_ptr<Http1Exchange> exchange_;
  std::string in_;  // read, not yet understood: at most a head and one read
  std::size_t in_begin_ = 0;
  std::size_t searched_ = 0;  // of unread(), for the end of the head
  std::string out_;           // heads and framing that the kernel has not taken
  std::size_t out_begin_ = 0;
  Phase phase_ = Phase::head;
  bool reused_ = false;  // a request was served before
  bool peer_finished_ = false;
  std::size_t budget_ = 0;  // bytes left in this turn
  std::uint64_t dripped_ = 0;
  std::optional<Clock::time_point> wake_at_;
  Clock::time_point drip_at_{};
  std::optional<Closing> closing_;
};

}  // namespace weir::harness
