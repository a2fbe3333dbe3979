#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "weir/awaiter.hpp"
#include "weir/body.hpp"
#include "weir/error.hpp"
#include "weir/export.hpp"
#include "weir/headers.hpp"
#include "weir/trace.hpp"

namespace weir {

namespace detail {
class ClientState;
class Pending;
struct ClientAccess;
}  // namespace detail

using std::chrono::milliseconds;

/// Which version of HTTP to speak.
///
/// `automatic` offers HTTP/2 (by ALPN, on https) only where the running libcurl keeps paused bodies
/// bounded on it, which is since 8.18.0; else it is HTTP/1.1. `http2` offers it wherever it works
/// at all (8.3.0 and 8.16.x: Error unsupported, their pause is broken); a server that does not
/// speak it, and plain http, get HTTP/1.1: `Response::version` tells. `http2_prior_knowledge`
/// speaks nothing else, on http too. An idle HTTP/1.1 connection to the same host may be used for
/// `http2`. Before libcurl 8.0 a request body above 65,535 bytes goes over HTTP/1.1 with `http2`,
/// and takes a whole core while it waits for the server with `http2_prior_knowledge`. `http3` and
/// `http3_only` are unsupported for now.
///
/// Each body has a connection of its own over HTTP/2 as well: what is paused is not read. A server
/// that demands answers to its PINGs therefore cuts a body that stays paused for longer than it
/// is willing to wait: the bytes that arrived are delivered, then `truncated`. HTTP/1.1 has no such
/// limit.
/// Spec: RFC 9112, RFC 9113.
enum class HttpVersion { automatic, http1, http2, http2_prior_knowledge, http3, http3_only };

/// What becomes of a response of status 301, 302, 303, 307 or 308.
///
/// `follow`: its Location is asked for, and `Response::url` tells where that ended. 301 and 302
/// make a GET of a POST, 303 of all but GET and HEAD, without the body and the fields about it;
/// else method and body stay, and a body that cannot be sent again is the error not_replayable.
/// Headers stay, but to another origin (scheme, host or port differs) go neither Authorization,
/// Cookie, Proxy-Authorization, Host nor any userinfo. A Location without a fragment has that of
/// the URL before. One that is no http or https URL, or leads from https to http, is the error
/// invalid_argument. Without a Location it is a response like any other. A redirect's own body is
/// not delivered: at most 64 KiB of it are read, for 200 ms, to save the connection.
/// `manual`: it is the response. `error`: it is the error too_many_redirects.
/// Spec: WHATWG fetch, HTTP-redirect fetch; RFC 9110 section 15.4.
enum class Redirect { follow, manual, error };

/// What to ask for. An aggregate: name the fields you set; new ones are only ever appended.
struct RequestInit {
  /// Empty: GET, or POST if there is a body. Sent as written; methods are case-sensitive.
  std::string method{};
  /// Sent as given, in order, after Host; they replace the client's headers of the same name.
  /// `Accept: */*` is sent unless they hold one. Content-Length, Transfer-Encoding, Connection, TE
  /// and Upgrade are ours: Error invalid_argument.
  Headers headers{};
  /// Text or bytes. No Content-Type is implied. With GET, HEAD or TRACE: Error invalid_argument.
  Body body{};
  /// A stop request aborts the exchange in any phase, its body too: error aborted.
  std::stop_token stop{};

  Redirect redirect = Redirect::follow;
  /// One more is the error too_many_redirects.
  int max_redirects = 20;

  /// Over all redirects: from the call, or from the last byte of the request body if there is one,
  /// to the final status line and headers. Until a body is begun with it counts from the call, too:
  /// waiting for a connection is bounded. Not re-armed by a server that drips header lines. Zero:
  /// none.
  milliseconds headers_timeout{300'000};
  /// Longest silence between body bytes while we are willing to read. Does not run while the
  /// body is paused; starts anew when it resumes. While a request body is sent: longest time
  /// without progress. Zero: none.
  milliseconds idle_timeout{300'000};
  /// From the call to the last byte of the body received. Zero: none. Kills slow downloads that
  /// are doing well: prefer `idle_timeout`.
  milliseconds total_timeout{0};
  /// Longest time a body may stay paused while nobody reads it; then consumer_stalled, at the
  /// latest twice that time after the last read. Zero: none.
  milliseconds consumer_timeout{0};

  /// Bytes queued at which the transfer pauses, and below which it goes on. Zero: the client's.
  /// `high_water` alone lowers `low_water` to at most a quarter of it; an explicit `low_water`
  /// that is not below `high_water` is invalid_argument.
  std::size_t high_water = 0;
  std::size_t low_water = 0;

  /// `automatic`: the client's.
  HttpVersion version = HttpVersion::automatic;

  /// The body comes as its Content-Encoding says that it was before: gzip, deflate, br and zstd, at
  /// most two of them, are undone as it is read. `Accept-Encoding: gzip, deflate, br, zstd` is sent
  /// unless the fields hold one (`identity` if they hold Range, since a part cannot be decoded).
  /// Response::headers stay as sent; `Body::length()` of an encoded body is unknown. Errors:
  /// decode_failed where the data is corrupt or cut short, after the bytes before it, or encoded in
  /// another way. False: the body comes as sent, and nothing is asked for.
  /// Memory: beside the body's queue 64 KiB as sent and 152 KiB decoded, and what each coding
  /// needs: 48 KiB (gzip, deflate), at most 8.5 MiB (zstd) or 28 MiB (br), as the sender chose.
  bool decode = true;

  /// What the body's bytes, as they are read, must be: "sha256-...", "sha384-..." or "sha512-..."
  /// with the digest in base64. Of several, separated by spaces, those of the strongest kind count,
  /// and one of them must match; other kinds, and options after a '?', are ignored. It is checked
  /// as the body is read, and a body that does not match throws integrity_failed in place of its
  /// end, also from `text()` and the like: until then its bytes are not to be trusted. Whatever the
  /// status; a response without a body (to HEAD, 204, 304) has no bytes, and matches accordingly.
  /// Empty, or of unknown kinds only: nothing is checked.
  /// Memory: constant. Spec: W3C Subresource Integrity; WHATWG fetch, main fetch.
  std::string integrity{};
};

/// When things happened, measured from the call of fetch(); after redirects, to the last request.
/// Zero: did not happen (a reused connection has no connect).
struct Timings {
  std::chrono::microseconds resolved{0};
  std::chrono::microseconds connected{0};
  std::chrono::microseconds secured{0};     ///< TLS handshake complete.
  std::chrono::microseconds first_byte{0};  ///< First byte of the response.
};

/// A response whose headers are complete; its body is still to come.
struct Response {
  int status = 0;
  Headers headers{};
  Body body{};
  std::string url{};  ///< As it was given, or where redirects ended; without credentials.
  HttpVersion version = HttpVersion::automatic;  ///< The version it arrived by.
  Timings timings{};
  bool redirected = false;  ///< A redirect was followed.

  /// A status of 200 to 299.
  bool ok() const noexcept { return status >= 200 && status <= 299; }
  /// As `body.text()`, `body.bytes()` and `body.json<T>()`.
  std::string text() { return body.text(); }
  std::vector<std::byte> bytes() { return body.bytes(); }
  template <class T>
  T json() {
    return body.json<T>();
  }
};

/// What `co_await` of a PendingResponse waits with.
class [[nodiscard]] WEIR_API AsyncResponse : public detail::Awaiter {
 public:
  Response await_resume();

 private:
  friend class PendingResponse;
  explicit AsyncResponse(detail::Pending& pending) noexcept;

  detail::Pending& pending_;
};

/// A request under way, whose response's headers are still to come. Take the response once, by
/// `get()` or by `co_await`; both throw what `Client::fetch()` throws, for bad arguments as well.
/// Dropping it before aborts the request.
///
/// It is awaited by name: `auto pending = client.async_fetch(url, {...});` and then
/// `Response response = co_await pending;`. Awaited in the same expression, the RequestInit would
/// be a temporary of it, and g++ 12 destroys such an aggregate twice; so that does not compile.
/// Thread-safety: as any value.
/// Lifetime: while it is awaited it must not be moved or destroyed. It may outlive its Client: then
/// it is aborted.
class [[nodiscard]] WEIR_API PendingResponse {
 public:
  explicit PendingResponse(std::unique_ptr<detail::Pending> pending) noexcept;
  PendingResponse(PendingResponse&&) noexcept;
  PendingResponse& operator=(PendingResponse&&) noexcept;
  ~PendingResponse();

  /// Waits for the response.
  Response get();
  AsyncResponse operator co_await() &;
  AsyncResponse operator co_await() && = delete;

 private:
  detail::Pending& checked();

  std::unique_ptr<detail::Pending> pending_;
};

/// The PendingResponse of `async_fetch(url)`, which needs no name to be awaited.
class [[nodiscard]] WEIR_API PendingGet : public PendingResponse {
 public:
  using PendingResponse::PendingResponse;
  AsyncResponse operator co_await() & { return PendingResponse::operator co_await(); }
  AsyncResponse operator co_await() && { return PendingResponse::operator co_await(); }
};

/// Versions of TLS that may be asked for.
enum class TlsVersion { tls1_2, tls1_3 };

/// How connections are secured. They hold for a proxy of scheme https as well, but for
/// `client_cert`, `client_key` and `pinned_key`, which are about the server.
///
/// Files are read when a connection is made; what `ca_file` held may be kept for a day. One that is
/// missing, unreadable or no PEM is the error tls_failed, as is every certificate that is refused;
/// `detail()` says why.
struct TlsOptions {
  /// PEM file of the authorities to trust, in place of the system's. Empty: the system's.
  std::string ca_file{};
  /// The same as PEM text; wins over `ca_file`.
  std::string ca_pem{};
  /// PEM file of the certificate to show to servers that ask for one, and of those between it and
  /// its authority. Empty: none is shown.
  std::string client_cert{};
  /// PEM file of its key, which must not be encrypted. Empty: it is in `client_cert`.
  std::string client_key{};
  /// False accepts any certificate, for any name: for tests only. `pinned_key` still holds.
  bool verify = true;
  /// Servers that speak older ones only are refused. There is nothing below TLS 1.2.
  TlsVersion min_version = TlsVersion::tls1_2;
  /// The server's public key must be this one, beside all other checks: "sha256//" and the base64
  /// of the SHA-256 of its SubjectPublicKeyInfo (DER); several, separated by ";", are alternatives.
  /// Empty: any key. Spec: as RFC 7469 section 2.4 makes it.
  std::string pinned_key{};
};

/// Where a host of URLs is to be found, in place of a lookup.
struct HostAddress {
  std::string host;        ///< As in the URL, without regard to case; "*": any other host.
  std::uint16_t port = 0;  ///< Of the URL: 80 or 443 if it names none. Not 0.
  std::string address;  ///< IPv4 or IPv6, in numbers. Several entries of one host: tried in turn.
};

/// Options of a Client. Most programs change none.
struct ClientOptions {
  /// Per body, in wire bytes: pause at `high_water`, go on below `low_water`. More memory buys
  /// fewer pauses on fast links; 64 KiB is a sensible floor; anything down to 1 byte works. A
  /// `low_water` left at its default is at most a quarter of `high_water`.
  std::size_t high_water = std::size_t{4} << 20;
  std::size_t low_water = std::size_t{1} << 20;
  /// The high water until the first read of a body.
  std::size_t unread_high_water = std::size_t{256} << 10;
  /// Bytes of queue memory over all bodies of this client. As it fills, each body may hold less
  /// of it: an eighth of what is left, but always one write (16 KiB). The last eighth of the
  /// budget is for bodies of which 1 MiB or more was read, so that stalled ones leave room for
  /// those in use.
  std::size_t memory_budget = std::size_t{64} << 20;

  /// Most connections at a time, to all hosts and to one (scheme, host and port of the URL). Each
  /// request under way has one of its own until its body has ended or was dropped; those that find
  /// none wait, first come first served, and that counts in `headers_timeout`. So bodies that you
  /// neither read nor drop keep others waiting: a program that wants more of them at a time than
  /// this, before it goes on with any, waits for itself. Zero: no limit.
  int max_connections = 0;
  int max_connections_per_host = 0;
  /// Idle connections kept for reuse, and the age (whole seconds, at least 1) from which one is
  /// not used again; it is closed when next looked at, or when there are too many.
  int max_idle_connections = 100;
  milliseconds keep_alive{60'000};
  /// For name lookup, TCP and TLS together, of each connection made. Zero: none. A host is looked
  /// up once for all requests that ask for it meanwhile, and 16 hosts at once (each takes a
  /// thread): waiting for that counts. A lookup goes on without those that wanted it; the client's
  /// destruction does not wait for it.
  milliseconds connect_timeout{30'000};

  /// Limits on one response's header block; beyond: too_large.
  std::size_t max_header_bytes = std::size_t{64} << 10;
  int max_header_fields = 256;

  HttpVersion version = HttpVersion::automatic;
  std::string user_agent = "weir/0.1";  ///< Empty: none is sent.

  /// The proxy of every request: `http://`, `https://` (TLS to the proxy, where libcurl has it),
  /// `socks5://` or `socks5h://` (the proxy looks names up), then `[user:password@]host[:port]`;
  /// without a scheme http, without a port 1080 (https: 443). The password, percent-encoded where
  /// need be, is sent to the proxy only, and shown nowhere. What is wrong with it is the error
  /// invalid_argument or unsupported of the Client's constructor.
  ///
  /// Empty: as the environment says, the way curl reads it at each connection: http_proxy,
  /// https_proxy or HTTPS_PROXY, all_proxy or ALL_PROXY, but for the hosts in no_proxy or NO_PROXY.
  /// A program that changes its environment meanwhile must not leave it at that. "direct": none,
  /// whatever the environment says.
  ///
  /// https goes through a tunnel (CONNECT), whose responses are never seen. Where the proxy cannot
  /// be reached or does not make one, 407 included, the error is connect_failed, with a `detail()`
  /// that begins with "proxy". To plain http such a proxy answers itself, 407 or 502 for example,
  /// and that is a response like any other. A Proxy-Authorization field of a request goes where the
  /// request goes: through a tunnel, that is to the server.
  std::string proxy{};
  /// Path of a Unix domain socket, in place of TCP to any host: the URL tells Host and path, no
  /// name is looked up, and no proxy is used. With a `proxy`, or longer than 107 bytes:
  /// invalid_argument. Empty: none.
  std::string unix_socket{};
  Headers headers{};  ///< Sent with every request that does not set its own.
  /// Overrides of lookups, as curl's --resolve.
  std::vector<HostAddress> resolve{};
  TlsOptions tls{};

  /// Called with each coroutine of this client that may go on, in place of resuming it: hand it to
  /// an executor of yours. Runs on the client's continuation thread, never on the I/O thread; must
  /// neither throw nor wait for a lock that is held while coroutines are destroyed. Whoever
  /// destroys the coroutine before it was resumed must forget the handle. Empty: coroutines are
  /// resumed on the continuation thread itself, where one that blocks holds up all the others, and
  /// one whose promise lets an exception out ends the program.
  std::function<void(std::coroutine_handle<>)> resume_on{};
  /// Called with what happens to each request, on the continuation thread and in order; must not
  /// throw. At most 1,024 events wait for it; more are dropped and counted in
  /// `TraceEvent::dropped`. Empty: no event is made.
  std::function<void(const TraceEvent&)> trace{};
};

/// Counters of one client since it was made; a snapshot.
struct ClientStats {
  std::uint64_t requests = 0;   ///< Started.
  std::uint64_t redirects = 0;  ///< Followed, all requests.
  std::uint64_t active = 0;     ///< Under way: started, and neither ended nor released.
  std::uint64_t queued = 0;     ///< Of the active ones: waiting because of `max_connections`.
  std::uint64_t connections_opened = 0;
  std::uint64_t connections_open = 0;
  std::uint64_t bytes_received = 0;  ///< Body bytes, all bodies.
  std::uint64_t pauses = 0;
  std::uint64_t resumes = 0;
  std::uint64_t cancelled_while_paused = 0;  ///< pauses == resumes + this + `paused`.
  std::uint64_t paused = 0;                  ///< Bodies paused right now.
  std::size_t queue_memory = 0;              ///< Bytes of queue memory held now, over all bodies.
  std::size_t peak_queue_memory = 0;
  std::uint64_t wakeups = 0;         ///< Turns of the I/O thread.
  std::uint64_t credit_wakeups = 0;  ///< Times a reader had to wake the I/O thread.
  std::string_view libcurl{};        ///< The running libcurl's version.
};

/// An HTTP client: a connection pool and the thread that drives it.
///
/// Each streaming response has a connection of its own; idle ones are reused. Make one Client and
/// keep it.
/// Memory: see `ClientOptions::memory_budget`; libcurl adds about 16 KiB (HTTP) to 75 KiB (TLS)
/// for each connection, and the kernel its socket buffers.
/// Thread-safety: all members may be called from any thread.
/// Lifetime: destruction aborts what is under way and waits for the I/O thread, which never
/// runs user code, and for the continuation thread, unless it happens there. Coroutines that are
/// suspended go on with the error aborted, and must not use the Client. Responses may outlive it:
/// their bodies then read as aborted.
/// After fork() the child must not use the parent's clients.
class WEIR_API Client {
 public:
  /// Throws Error: invalid_argument for options that contradict each other or mean nothing,
  /// unsupported where this libcurl lacks what they ask for, resource_exhausted.
  explicit Client(ClientOptions options = {});
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  /// Sends a request and waits for the response's headers. Redirects are followed first: see
  /// Redirect.
  /// Throws Error: invalid_argument, resolve_failed, connect_failed, tls_failed, connection_lost,
  /// protocol_error, too_many_redirects, too_large, timed_out, aborted, body_used, not_replayable,
  /// unsupported, resource_exhausted.
  /// A request whose reused connection turns out closed before any byte of the response is
  /// sent once more if its method is idempotent (RFC 9110 section 9.2.2); nothing else is.
  /// If nothing else is under way, a thread that waits here, or in a blocking read, drives the
  /// transfer itself meanwhile: it needs the stack that libcurl and its TLS library need, some
  /// 64 KiB, and SIGPIPE is blocked in it. Other signals are delivered while it waits, and do not
  /// end that; threads that libcurl makes take none.
  Response fetch(std::string_view url, RequestInit init = {});

  /// Sends a request and returns at once; the response comes out of the result.
  /// Throws std::bad_alloc only.
  PendingResponse async_fetch(std::string_view url, RequestInit init);
  PendingGet async_fetch(std::string_view url);

  ClientStats stats() const;

 private:
  friend struct detail::ClientAccess;
  explicit Client(std::unique_ptr<detail::ClientState> state);

  std::unique_ptr<detail::ClientState> state_;
};

/// The same on a client shared by the whole process, made at first use with default options. It
/// is never destroyed; its threads are stopped when the process exits, after which this throws
/// aborted. Coroutines that are suspended then stay so.
WEIR_API Response fetch(std::string_view url, RequestInit init = {});
WEIR_API PendingResponse async_fetch(std::string_view url, RequestInit init);
WEIR_API PendingGet async_fetch(std::string_view url);

}  // namespace weir
