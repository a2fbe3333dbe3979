#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// A loopback server for testing HTTP clients against slow readers and bad servers, and the
/// means to check what it sent. Shipped apart from the client library, which it does not need.
namespace weir::harness {

/// The bytes of every `/bytes` body: a pure function of (seed, offset), so any range can be
/// checked without the rest. Aligned 8-byte words never repeat within one seed; any 8 wrong bytes
/// in a row go unnoticed with probability 2^-64, a single wrong byte with probability 1/256.
/// Thread-safety: any thread.
namespace pattern {

/// Writes the bytes at [offset, offset + out.size()).
void fill(std::uint64_t seed, std::uint64_t offset, std::span<std::byte> out) noexcept;

/// Compares `bytes`, which claim to start at `offset`. Returns the offset in the body (not in
/// the span) of the first byte that is wrong; nullopt if all are right.
std::optional<std::uint64_t> check(std::uint64_t seed, std::uint64_t offset,
                                   std::span<const std::byte> bytes) noexcept;

/// SHA-256 of the bytes at [offset, offset + length), in lower-case hex.
/// Memory: constant. Throws std::runtime_error if the digest is not available.
std::string sha256(std::uint64_t seed, std::uint64_t offset, std::uint64_t length);

}  // namespace pattern

/// SHA-256 fed piece by piece.
/// Throws std::runtime_error if the digest is not available.
/// Thread-safety: one thread at a time.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::span<const std::byte> bytes);
  /// 64 lower-case hex digits of everything so far. The digest starts anew afterwards.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct FirehoseOptions {
  std::uint16_t port = 0;  ///< 0: a free one
  bool tls = false;        ///< with a CA of its own, made at start: see `Firehose::ca_pem`
  bool ipv6 = false;       ///< listen on ::1 instead of 127.0.0.1
  int send_buffer =
      0;  ///< SO_SNDBUF of every connection, bytes (Linux doubles it); 0: the system's
  /// HTTP/2 as well: by ALPN with TLS, where it is preferred; by prior knowledge without. What does
  /// not begin as an HTTP/2 connection does is served as HTTP/1.1.
  bool http2 = false;
  /// HTTP/2: a PING so often, unless one is still unanswered; 0: none.
  std::chrono::milliseconds ping_interval{0};
  /// HTTP/2: a connection that leaves a PING unanswered for so long, however full its socket is,
  /// gets a GOAWAY and is closed; 0: unlimited patience.
  std::chrono::milliseconds ping_timeout{0};
};

enum class BodyState {
  live,      ///< still being sent
  finished,  ///< the kernel took all of it
  cut,       ///< ended early by the server, as the URL asked
  vanished,  ///< the client closed or reset first
};

/// One response and its body.
struct BodyRecord {
  std::uint64_t id = 0;              ///< counts from 1 in the order the responses began
  std::string path;                  ///< request target with its query, at most 1 KiB of it
  std::int32_t stream_id = 0;        ///< of HTTP/2; 0: the response was HTTP/1.1
  std::uint64_t bytes_accepted = 0;  ///< body bytes the server got rid of: taken by the kernel, or
                                     ///< by SSL_write (plaintext). No headers, no framing
  std::uint64_t times_blocked = 0;   ///< how often it became `blocked` after progress
  bool blocked = false;  ///< now: the client's side holds it up. The last write got EAGAIN (HTTP/2:
                         ///< any body's of the connection) and nothing moved since; or it has bytes
                         ///< to send and no HTTP/2 window, of its own or of the connection
  std::chrono::steady_clock::time_point blocked_since{};  ///< while `blocked`
  BodyState state = BodyState::live;
};

struct FirehoseStats {
  std::uint64_t bytes_accepted = 0;  ///< sum over all bodies, forgotten ones too
  std::uint64_t head_bytes = 0;      ///< everything else that was sent: heads and chunk framing
  std::uint64_t times_blocked = 0;
  std::uint64_t requests = 0;  ///< whose head was read and well formed
  std::uint64_t vanished = 0;  ///< requests whose client left before the response was sent
  std::uint64_t connections_opened = 0;
  std::uint64_t connections_open = 0;
  std::uint64_t http2_connections = 0;  ///< of those opened
  std::uint64_t pings_sent = 0;         ///< or waiting behind what the client does not take
  std::uint64_t ping_cuts = 0;          ///< connections closed because a PING was not answered
  std::vector<BodyRecord> bodies;       ///< by id: every live one and the last 1,024 others

  /// The newest body of that path (as given to `Firehose::url`); null if none is remembered.
  /// Lifetime: into this object.
  const BodyRecord* find(std::string_view path) const noexcept;
};

/// What `Firehose::wait_until_blocked` waits for.
struct BlockedWhen {
  std::uint64_t bytes = 0;               ///< only bodies of which the kernel took at least so many
  std::size_t bodies = 1;                ///< so many at the same time
  std::chrono::milliseconds quiet{100};  ///< blocked for so long without a byte of progress
};

/// A loopback server of HTTP/1.1 and, if asked, HTTP/2, plain or TLS, that sends as fast as it is
/// allowed to: what it sends stops only when the client's reader stops it. All behaviour is in the
/// URL:
///
/// - `/bytes/N` N bytes of `pattern`, N up to 2^63. Query: `seed=`; `chunked=1`; `no_length=1` (the
///   end is the close); `rate=` bytes/s; `write=` bytes in one send() at most, and the chunk size
///   if chunked; `stall_after=` bytes, then a pause of `stall_ms=` (missing: for ever);
///   `cut_after=`, `rst_after=` bytes, then FIN or RST; `status=`; `content_type=`;
///   `encode=` codings, applied in order: gzip, deflate, raw_deflate (announced as deflate), br,
///   zstd. All bytes above are then encoded ones, but N; no length is announced. `flush=` bytes of
///   content between flushes; `zeros=1` in place of the pattern; `content_encoding=` announces that
///   instead, also where nothing is encoded.
/// - `/redirect/N?to=&body=&status=` N redirects (302), the last one to `to` or `/bytes/0`, each
///   with `body` bytes of pattern 0.
/// - `/status/N`; `/interim/N` N times a 103 before the 200.
/// - `/headers?count=&size=` more response headers; `/drip_headers?ms=` a header line every so
///   often, for ever; `/headers_echo` the request's head, verbatim.
/// - `/echo?rate=` the request's body, read at `rate` bytes/s at most.
/// - `/sse` server-sent events, whose data is their number, from 0. `events=` so many (missing: no
///   end of them; 0: none, nor an end of the response); `interval_ms=` between them; `size=` bytes
///   of data, up to 64 MiB; `data=` that in place of the number, or `stamp=1` the steady clock's
///   nanoseconds as the event is made; `encode=` as of `/bytes`, flushed at each write; `burst=1`
///   many in each write and none later than the others; `heartbeat_ms=` between comments; `retry=`
///   ms in front; `ids=1` with ids: it goes on after the request's Last-Event-ID, and answers 204
///   where nothing is left. The response ends after the last event or after `close_after=` of them;
///   with `swallow_fin=1` it falls silent then, as behind a proxy that swallows the FIN.
/// - `/chat?tokens=&interval_ms=` answers a POST as language models do: an event for each token,
///   then "[DONE]".
/// - `/close?before=headers|blank_line&how=fin|rst&reused=1` ends the connection instead of
///   answering; `reused`: only where a request was answered before, else 200.
/// - `/raw?text=` those bytes instead of a response, then FIN; `/hang` never answers.
/// - `/stats` the counters as JSON; `bodies=1` adds the records.
///
/// HTTP/2 has the same routes, with these differences:
///
/// - `chunked` and `no_length` leave content-length out; `write=` is the size of each DATA frame,
///   written by itself. `rst_after=` is RST_STREAM(INTERNAL_ERROR); `cut_after=` and `/close` end
///   the whole connection, by FIN without END_STREAM or a GOAWAY, or (`/close?how=rst`) by RST.
/// - `/bytes` also takes `reset=` code, an RST_STREAM in place of the response or, with
///   `reset_after=` bytes, inside it; `goaway_after=` bytes, a GOAWAY that covers this stream, and
///   it goes on; `goaway=refuse`, a GOAWAY that leaves this request out as not processed.
///   `reused=1`: `reset` without `reset_after` and `goaway=refuse` only where a request was served
///   before.
/// - `/drip_headers` and `/close?before=blank_line` leave a header block open, which holds up every
///   other stream. `/headers_echo` shows ":method" and the like, too. `/raw` writes its bytes
///   between frames.
/// - An echo opens the request's window (64 KiB) only as its bytes go out.
///
/// Every route also takes `tag=`, which does nothing but tell two bodies apart. A bad parameter is
/// 400 with a reason. A client that closes or half-closes while a response waits counts as gone.
/// Memory: what is sent is computed, never stored: a few KiB for each connection (TLS: about 20;
/// HTTP/2: about 40 more, and 2 for each stream), 64 KiB for each `/echo` in progress, and the
/// encoders of each encoded body (gzip: 270 KiB, zstd and br: some MiB).
/// Throws std::system_error if it cannot listen, std::runtime_error if TLS cannot be set up.
/// Thread-safety: all members, from any thread. It runs one thread of its own, raises no signal and
/// handles none.
class Firehose {
 public:
  explicit Firehose(FirehoseOptions options = {});
  /// Stops at once: closes every connection, whatever it is doing, and joins the thread.
  ~Firehose();
  Firehose(const Firehose&) = delete;
  Firehose& operator=(const Firehose&) = delete;

  /// "http://127.0.0.1:PORT/bytes/1000" for "/bytes/1000"; no slash at the end without a path.
  std::string url(std::string_view path = {}) const;
  std::uint16_t port() const noexcept;
  /// The certificate to trust, PEM; empty without TLS. The leaf below it is for localhost,
  /// 127.0.0.1 and ::1.
  const std::string& ca_pem() const noexcept;

  /// The counters now: nothing that a client can have received is missing.
  FirehoseStats stats() const;
  /// Waits until live bodies are blocked as `when` says: the kernel or an HTTP/2 window refused
  /// more and no byte went for `when.quiet`, so the reader's side is what holds them. False:
  /// `timeout` passed first.
  bool wait_until_blocked(BlockedWhen when = {},
                          std::chrono::milliseconds timeout = std::chrono::seconds(10)) const;
  /// Waits until `condition` holds, looking again whenever the counters changed. It is called on
  /// the waiting thread with no lock held. False: `timeout` passed first.
  bool wait_for(const std::function<bool(const FirehoseStats&)>& condition,
                std::chrono::milliseconds timeout = std::chrono::seconds(10)) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::harness
