#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::harness {

/// What a request's body is framed by.
enum class BodyFraming { none, length, chunked };

/// The head of a request, independent of the protocol it came by but for `head`.
struct Request {
  std::string method;
  std::string path;   // begins with '/'; no query
  std::string query;  // without the '?'
  std::string head;  // HTTP/1.1: request line and fields as they came, with the blank line; HTTP/2:
                     // a line "name: value" for each field, ":method" and the like too
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
  BodyFraming framing = BodyFraming::none;
  std::uint64_t length = 0;  // bytes, if `framing` is length
  bool keep_alive = true;
  bool http_1_0 = false;
  bool expects_continue = false;
  bool http2 = false;

  /// The path with its query, as it came.
  std::string target() const;
};

/// A request that cannot be served, as the status to refuse it with and why.
struct Refusal {
  int status = 400;
  std::string reason;
};

/// Reads the head that `text` begins with; `text` includes the blank line that ends it.
/// Strict: CRLF only, no folding, token names, one Host, no Transfer-Encoding but chunked and not
/// beside a Content-Length.
/// Spec: RFC 9112 sections 2 to 6.
std::optional<Refusal> parse_head(std::string_view text, Request& request);

/// Sets path and query. A whole URL is reduced to them.
std::optional<Refusal> parse_target(std::string_view target, Request& request);

/// Size of the head that `text` begins with, blank line included; nullopt if more must come.
/// `searched` is how much of `text` an earlier call saw.
std::optional<std::size_t> head_size(std::string_view text, std::size_t searched);

/// Takes the framing off a request's body, piece by piece.
/// Memory: constant. Spec: RFC 9112 sections 6.2 and 7.1.
class BodyDecoder {
 public:
  BodyDecoder() = default;
  explicit BodyDecoder(const Request& request);

  struct Step {
    std::size_t consumed = 0;         // of the input
    std::span<const std::byte> data;  // body bytes, a part of the consumed input
    bool bad = false;                 // the framing is broken; nothing more will come
  };
  /// Consumes framing and at most `most` bytes of body from the front of `input`. Call again until
  /// nothing is consumed or `done()`.
  Step next(std::span<const std::byte> input, std::size_t most);
  bool done() const noexcept { return state_ == State::done; }

 private:
  enum class State { size, extension, size_lf, data, data_cr, data_lf, trailer, done, bad };
  bool take_framing(char c);
  bool take_size_digit(char c);

  State state_ = State::done;
  bool chunked_ = false;
  std::uint64_t left_ = 0;        // of the body, or of the chunk
  int digits_ = 0;                // of the chunk size
  std::size_t extras_ = 0;        // bytes of extensions and trailers so far
  std::size_t trailer_line_ = 0;  // bytes of this trailer line before its CRLF
  bool after_cr_ = false;
};

}  // namespace weir::harness
