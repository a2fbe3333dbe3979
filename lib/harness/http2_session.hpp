#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::harness {

/// Error codes of RST_STREAM and GOAWAY. Spec: RFC 9113 section 7.
enum class Http2Error : std::uint32_t {
  none = 0,
  protocol = 1,
  internal = 2,
  refused_stream = 7,
};

/// What an Http2Session reports and asks while it receives and while it is pulled.
/// Lifetime: arguments until the call returns.
class Http2Events {
 public:
  virtual void head_began(std::int32_t stream) = 0;
  virtual void field(std::int32_t stream, std::string_view name, std::string_view value) = 0;
  virtual void head_ended(std::int32_t stream, bool request_ended) = 0;
  virtual void body_came(std::int32_t stream, std::span<const std::byte> bytes) = 0;
  virtual void request_ended(std::int32_t stream) = 0;
  virtual void peer_reset(std::int32_t stream) = 0;
  virtual void peer_goaway(Http2Error why) = 0;
  virtual void pong() = 0;
  /// Both sides are done with the stream, or one has reset it.
  virtual void closed(std::int32_t stream) = 0;

  struct Offer {
    std::size_t bytes = 0;
    bool last = false;
  };
  /// How many bytes of body to frame now. Nullopt: none until `Http2Session::resume`.
  virtual std::optional<Offer> next_data(std::int32_t stream, std::size_t most) = 0;
  /// Takes the DATA frame that was offered. False: not now; it will come again, before others.
  virtual bool take_data(std::int32_t stream, std::span<const std::byte> header, std::size_t bytes,
                         bool last) = 0;
  /// The next bytes of `pull` are a response head of that stream.
  virtual void head_comes(std::int32_t stream) = 0;
  /// They were pulled, all of them; `last`: no body follows.
  virtual void head_went(std::int32_t stream, bool last) = 0;

 protected:
  ~Http2Events() = default;
};

/// The server's side of one HTTP/2 connection, without its socket: bytes in, frames out.
/// Memory: about 40 KiB, and what its queue of frames without body holds.
/// Thread-safety: one thread. Lifetime: within that of the events'.
/// Spec: RFC 9113.
class Http2Session {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  /// Throws std::bad_alloc.
  explicit Http2Session(Http2Events& events);
  ~Http2Session();
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;

  /// False: the peer broke the protocol in a way that nothing was queued against.
  bool receive(std::span<const std::byte> bytes);
  /// The next frames that are not DATA; DATA goes to `Http2Events::take_data`. Empty: no more now.
  /// Lifetime of the result: until the next call.
  std::span<const std::byte> pull();
  /// False: all is said, or it failed; the connection may end.
  bool alive() const;

  // What to send. Allowed from within the events, too.
  void interim(std::int32_t stream, const Fields& fields);
  void respond(std::int32_t stream, const Fields& fields, bool with_body);
  void resume(std::int32_t stream);
  void reset(std::int32_t stream, std::uint32_t code);
  /// Streams after `last` are not served; the others go on.
  void goaway(std::int32_t last);
  /// GOAWAY, and nothing after it.
  void terminate(Http2Error why);
  void ping();

  // Windows of what comes in: bytes of a body stay in the stream's until they are consumed.
  void consume_connection(std::size_t bytes);
  void consume_stream(std::int32_t stream, std::size_t bytes);
  void widen(std::int32_t stream);
  std::int32_t last_stream() const;

 private:
  struct State;
  void check(int result);

  std::unique_ptr<State> state_;
};

}  // namespace weir::harness
