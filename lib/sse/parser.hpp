#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "weir/sse.hpp"

namespace weir::sse {

/// Bytes to events. What comes out does not depend on how the bytes are cut into pieces.
///
///     parser.feed(bytes);
///     while (parser.next() == Item::event) use(parser.take_event());
///
/// An event is there with the byte that ends its empty line: the LF of a CRLF is not waited for.
/// Cost: linear in the bytes, plus a copy of the last id for each event.
/// Memory: one line, one event, two ids, as SseLimits say; three times as much where U+FFFD
/// replaces ill-formed UTF-8.
/// Errors: std::bad_alloc, after which it must not be used.
/// Thread-safety: one thread at a time.
/// Spec: WHATWG HTML section 9.2.6.
class Parser {
 public:
  enum class Item {
    more,       ///< Everything that was fed is used up.
    event,      ///< `take_event()`
    comment,    ///< `take_comment()`; only after `report_comments()`
    too_large,  ///< `refusal()`, for ever.
  };

  explicit Parser(const SseLimits& limits = {}, std::string last_event_id = {});

  /// The bytes that follow, once `next()` has returned `more` for those before.
  /// Lifetime: until it does so again.
  void feed(std::string_view bytes);
  Item next();
  /// For a new connection: forgets what is incomplete, and keeps the last id and the time to wait.
  void restart();
  void report_comments() noexcept { reports_comments_ = true; }

  Event take_event() noexcept { return std::move(event_); }
  /// The text after the colon and at most one space.
  std::string take_comment() noexcept { return std::move(comment_); }
  /// As of the last empty line, also if that made no event.
  const std::string& last_event_id() const noexcept { return last_event_id_; }
  /// What the last valid `retry` field asked for, at most 2^31 - 1 ms.
  std::optional<std::chrono::milliseconds> retry() const noexcept { return retry_; }
  /// Which limit was exceeded, and by what.
  const std::string& refusal() const noexcept { return refusal_; }
  /// How many bytes were looked at or copied so far, each time counted.
  std::uint64_t work() const noexcept { return work_; }

 private:
  std::size_t line_end();
  void hold(std::string_view piece);
  bool begins_data(std::string_view line) const noexcept;
  void hold_first_data(std::string_view line);
  void hold_data(std::string_view piece);
  Item finish(std::string_view piece);
  Item finish_held(std::string_view piece);
  Item process(std::string_view line);
  Item process_field(std::string_view name, std::string_view value);
  Item process_comment(std::string_view text);
  Item process_id(std::string_view value);
  void process_retry(std::string_view value);
  Item dispatch();
  void begin_data_line();
  void append(std::string& out, std::string_view text);
  Item check_event();
  Item refuse(const char* option, std::size_t limit, std::size_t seen);

  SseLimits limits_;
  bool reports_comments_ = false;
  std::uint64_t work_ = 0;

  // What was fed: used up before `at_`; the next LF and CR from there, its size if there is none.
  std::string_view bytes_;
  std::size_t at_ = 0;
  std::size_t lf_ = 0;
  std::size_t cr_ = 0;

  bool first_line_ = true;     // a byte order mark may precede it
  bool after_cr_ = false;      // a LF belongs to the line before
  std::string line_;           // the beginning of a line whose end is to come
  std::size_t line_size_ = 0;  // of that line, wherever it is kept
  bool in_data_ = false;       // its beginning is kept in `data_`, as it came, from `data_line_` on
  std::size_t data_line_ = 0;

  std::string data_;  // without the LF that follows the last line
  bool has_data_ = false;
  std::size_t last_size_ = 0;  // of the last event's: the next one's is often alike
  std::string type_;
  std::string id_;  // to be the last one at the next empty line, if
  bool has_id_ = false;

  Event event_;
  std::string comment_;
  std::string last_event_id_;
  std::optional<std::chrono::milliseconds> retry_;
  std::string refusal_;
};

}  // namespace weir::sse
