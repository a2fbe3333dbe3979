#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/deadlines.hpp"
#include "net/curl_error.hpp"
#include "net/curl_handle.hpp"
#include "net/curl_setup.hpp"
#include "net/driver.hpp"
#include "net/lookup_gate.hpp"
#include "net/redirect.hpp"
#include "net/request_trace.hpp"
#include "net/response_head.hpp"

namespace weir::net {

class CurlDriver;

/// What the transfers of one Exchange, of which each redirect makes one more, have in common.
struct Journey {
  RequestTrace trace;
  detail::TimePoint started;  ///< The call of fetch().
  detail::TimePoint asked;    ///< The same, or the last byte of a request body: headers_timeout.
};

/// One transfer of an Exchange as libcurl carries it out: an easy handle, its callbacks and its
/// deadlines. Lives on the I/O thread until the driver releases it, or follows a redirect.
///
/// | phase      | ends with                     | deadline that runs                            |
/// |------------|-------------------------------|-----------------------------------------------|
/// | sending    | last byte of the request body | idle (since the last byte sent)               |
/// | waiting    | the head is complete          | headers (since the call, or since `sending`)  |
/// | body       | libcurl is done               | idle (since the last byte); while paused:     |
/// |            |                               | consumer                                      |
/// | discarding | libcurl is done, or the       | 200 ms, after the reader cancelled or a       |
/// |            | deadline comes                | redirect's head; of a redirect headers, too   |
/// In all phases but the last: total (since the call). Until libcurl has a connection, in the first
/// two: headers (since the call), and connect, since libcurl began to look for one; not while the
/// transfer waits for others to leave theirs.
///
/// If it ends while its host is being looked up, that goes on: it becomes an orphan, for those
/// that ask for the same.
///
/// Callbacks (curl_exchange_callbacks.cpp) run inside libcurl, throw nothing, and never add, remove
/// or resume a transfer.
class CurlExchange final : public flow::Producer, public detail::DeadlineNode, public LookupSeeker {
 public:
  /// Of the rest of a body that nobody wants, read to keep its connection.
  static constexpr std::uint64_t kDiscardBytes = std::uint64_t{64} << 10;

  /// Throws std::bad_alloc, or Error unsupported or invalid_argument.
  CurlExchange(CurlDriver& driver, std::shared_ptr<Exchange> exchange, const Journey& journey);
  ~CurlExchange();
  CurlExchange(const CurlExchange&) = delete;
  CurlExchange& operator=(const CurlExchange&) = delete;

  CURL* easy() const noexcept { return easy_.get(); }
  /// libcurl is done with it: reports the end or the failure to the Channel.
  void complete(CURLcode result) noexcept;
  /// Reports that the driver goes; the transfer must be removed next.
  void abort() noexcept;
  /// Its DeadlineNode came up. True: the transfer has failed, or is not worth finishing, or
  /// `redirected()`.
  bool expire(detail::TimePoint now) noexcept;

  /// It met a redirect that is to be followed, and is over otherwise.
  bool redirected() const noexcept { return hop_ != nullptr; }
  /// Makes the next request of the Exchange's, to be carried out by another transfer.
  void take_hop() noexcept;
  const std::shared_ptr<Exchange>& exchange() const noexcept { return exchange_; }
  const Journey& journey() const noexcept { return journey_; }
  /// Another transfer is the Channel's Producer now.
  void let_go() noexcept { attached_ = false; }

  /// The connection it was given must not be used, and was not. Asked once.
  bool wants_other_connection() noexcept { return std::exchange(wants_other_connection_, false); }
  /// Its connection's socket, as far as is known.
  void use_socket(curl_socket_t socket) noexcept {
    socket_ = socket;
    note_connecting();
  }
  /// It cannot be watched.
  void lose_watch() noexcept { unwatched_ = true; }
  /// True if that happened: the transfer has failed.
  bool fail_unwatched() noexcept;
  /// The socket that libcurl must read from once more, though nothing came; else CURL_SOCKET_BAD.
  /// Asked once.
  curl_socket_t take_unread() noexcept {
    return std::exchange(unread_, false) ? socket_ : CURL_SOCKET_BAD;
  }
  /// Not processed by the server, and to be sent once more over another connection.
  bool may_go_again(CURLcode result) const noexcept;
  /// Before it is given to libcurl again: another connection, or a lookup at last.
  void prepare_again() noexcept;
  void forget_connection() noexcept {
    connected_ = false;
    connecting_ = detail::TimePoint::max();
  }

  bool lookup_over() const noexcept override {
    return lookup_time() != lookup_time_ || sends_ != lookup_sends_;
  }
  /// Its lookup is under way, and its end will be noticed. A SOCKS proxy's is not, before the
  /// request (socks.c tells nobody); and its connection is there already, to be closed.
  bool keeps_looking() const noexcept {
    return looks_up() && !lookup_over() && !unwatched_ && lookup_time_ == 0;
  }
  /// The lookup of `front` failed, which was for this one too.
  void share_lookup(const CurlExchange& front, CURLcode result) noexcept;
  /// Leaves the Channel, and stays for its lookup. It must not be released before that is over,
  /// but by a driver that goes.
  void become_orphan() noexcept;
  bool is_orphan() const noexcept { return orphan_; }

  void resume_transfer() override;
  void cancel_transfer() override;

  /// It waits for its turn to have a connection; libcurl does not know it yet.
  bool waits() const noexcept { return waits_; }
  void await_turn();
  /// libcurl gets it now.
  void have_turn() noexcept;

  std::size_t place = 0;  ///< Index in the driver's list.
  std::string origin;     ///< Of its URL, where connections to one are limited.

 private:
  friend struct CurlCallbacks;
  enum class Phase { sending, waiting, body, discarding };

  // Callbacks.
  static EasyHandle make_handle(CurlDriver& driver);
  static void set_functions(CURL* easy);
  void set_data();
  std::size_t on_header(std::string_view line);
  bool on_head();
  bool check_version();
  void take_head();
  bool open();
  bool pass_over();
  std::size_t discard(std::size_t count);
  void forbid_reuse() noexcept;
  std::size_t on_body(Bytes data);
  bool finishes_early() noexcept;
  bool sent_all() const noexcept;
  bool on_lookup();
  curl_off_t lookup_time() const noexcept;
  int on_request(int local_port);
  void refuse(Failure why);
  int refuse(errc code, const char* why);
  bool is_reused() const noexcept;
  bool must_not_use(int local_port) const noexcept;
  void restart();
  void on_progress(curl_off_t sent);
  void look_for_end() noexcept;
  Timings timings() const;

  // From the top of the loop.
  CURLcode unpause() noexcept;
  void conclude(CURLcode result);
  Progress progress() const;
  bool keeps_handle() const noexcept;
  void end();
  void fail(Failure failure);

  // Deadlines.
  detail::TimePoint deadline() const noexcept;
  detail::TimePoint head_deadline() const noexcept;
  detail::TimePoint connect_deadline() const noexcept;
  void note_connecting() noexcept;
  void rearm() noexcept;
  void notice_reading(detail::TimePoint now);
  Failure overdue() const;

  CurlDriver& driver_;
  const std::shared_ptr<Exchange> exchange_;
  Journey journey_;
  const VersionPlan plan_;
  EasyHandle easy_;
  CurlList fields_;
  ResponseHead head_;
  Phase phase_ = Phase::waiting;
  curl_socket_t socket_ = CURL_SOCKET_BAD;
  bool connected_ = false;  // libcurl had a connection to send the request on
  bool out_of_memory_ = false;
  bool out_of_sockets_ = false;  // when it last wanted one
  bool wants_other_connection_ = false;
  bool unwatched_ = false;
  bool unread_ = false;
  bool finished_ = false;       // the response is complete, whatever libcurl says
  bool keep_handle_ = false;    // for another exchange
  std::uint64_t received_ = 0;  // body bytes accepted
  int sends_ = 0;               // times libcurl was about to send the request
  std::uint64_t drained_ = 0;   // while paused: as of the last look
  curl_off_t sent_ = 0;         // bytes of the request body
  std::unique_ptr<Hop> hop_;    // where the redirect that it met leads
  bool attached_ = true;        // to the Channel
  bool waits_ = false;          // for its turn
  bool orphan_ = false;
  curl_off_t lookup_time_ = 0;  // before the lookup under way; not 0: one has succeeded before it
  int lookup_sends_ = 0;        // the same of sends_
  detail::TimePoint begun_;     // when libcurl got it, from which it counts the times it tells
  detail::TimePoint connecting_ = detail::TimePoint::max();  // since when
  detail::TimePoint progressed_;      // since when the idle, headers or consumer deadline counts
  std::unique_ptr<Failure> refused_;  // why a callback stopped the transfer
  std::array<char, CURL_ERROR_SIZE> words_{};
};

}  // namespace weir::net
