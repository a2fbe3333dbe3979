#include "sse/parser.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/ascii.hpp"
#include "base/utf8.hpp"

namespace weir::sse {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kDataName = "data:";
constexpr std::size_t kLongestName = 5;                        // of the fields that mean something
constexpr std::size_t kKept = std::size_t{4} << 10;            // bytes of an empty line buffer
constexpr std::size_t kMostReserved = std::size_t{256} << 10;  // bytes

std::size_t find(char wanted, std::string_view bytes, std::size_t from) {
  if (from == bytes.size()) return from;
  const void* const found = std::memchr(bytes.data() + from, wanted, bytes.size() - from);
  if (found == nullptr) return bytes.size();
  return static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
}

std::string_view without_space(std::string_view value) {
  if (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

void empty(std::string& text) {
  if (text.capacity() > kKept) {
    text = std::string();
  } else {
    text.clear();
  }
}

}  // namespace

Parser::Parser(const SseLimits& limits, std::string last_event_id)
    : limits_(limits), last_event_id_(std::move(last_event_id)) {}

void Parser::restart() {
  bytes_ = {};
  at_ = lf_ = cr_ = 0;
  first_line_ = true;
  after_cr_ = in_data_ = has_data_ = has_id_ = false;
  line_size_ = 0;
  for (std::string* const text : {&line_, &data_, &type_, &id_, &refusal_}) empty(*text);
}

void Parser::feed(std::string_view bytes) {
  bytes_ = bytes;
  at_ = 0;
  lf_ = find('\n', bytes, 0);
  cr_ = find('\r', bytes, 0);
  work_ += lf_ + cr_;
}

// Each of the two is looked for once, however the other lies: a piece full of CRs is not searched
// for a LF again and again.
std::size_t Parser::line_end() {
  if (lf_ < at_) {
    lf_ = find('\n', bytes_, at_);
    work_ += lf_ - at_;
  }
  if (cr_ < at_) {
    cr_ = find('\r', bytes_, at_);
    work_ += cr_ - at_;
  }
  return std::min(lf_, cr_);
}

Parser::Item Parser::next() {
  while (refusal_.empty()) {
    if (at_ == bytes_.size()) return Item::more;
    if (std::exchange(after_cr_, false) && bytes_[at_] == '\n') {
      ++at_;
      continue;
    }
    const std::size_t end = line_end();
    const std::string_view piece = bytes_.substr(at_, end - at_);
    at_ = end;
    if (end == bytes_.size()) {
      hold(piece);
      continue;
    }
    after_cr_ = bytes_[at_++] == '\r';
    if (const Item item = finish(piece); item != Item::more) return item;
  }
  return Item::too_large;
}

// The value of a long `data` line is copied once: to where it is wanted in the end.
void Parser::hold(std::string_view piece) {
  line_size_ += piece.size();
  if (line_size_ > limits_.line) {
    refuse("line", limits_.line, line_size_);
  } else if (in_data_) {
    hold_data(piece);
  } else if (line_.empty() && begins_data(piece)) {
    hold_first_data(piece);
  } else {
    line_.append(piece);
    work_ += piece.size();
    if (!begins_data(line_)) return;
    hold_first_data(line_);
    empty(line_);
  }
}

bool Parser::begins_data(std::string_view line) const noexcept {
  return !first_line_ && line.size() > kDataName.size() && line.starts_with(kDataName);
}

void Parser::hold_first_data(std::string_view line) {
  in_data_ = true;
  if (data_.empty()) data_.reserve(std::min(last_size_, kMostReserved));
  begin_data_line();
  data_line_ = data_.size();
  hold_data(without_space(line.substr(kDataName.size())));
}

void Parser::hold_data(std::string_view piece) {
  data_.append(piece);
  work_ += piece.size();
  check_event();  // replacing what is ill-formed makes it no smaller
}

Parser::Item Parser::finish(std::string_view piece) {
  if (line_size_ > 0) return finish_held(piece);
  if (piece.size() > limits_.line) return refuse("line", limits_.line, piece.size());
  return process(piece);
}

Parser::Item Parser::finish_held(std::string_view piece) {
  hold(piece);
  if (!refusal_.empty()) return Item::too_large;
  line_size_ = 0;
  if (in_data_) {
    in_data_ = false;
    work_ += data_.size() - data_line_;
    detail::repair_utf8(data_, data_line_);
    return check_event();
  }
  const Item item = process(line_);
  empty(line_);
  return item;
}

Parser::Item Parser::process(std::string_view line) {
  if (std::exchange(first_line_, false) && line.starts_with(kByteOrderMark)) {
    line.remove_prefix(kByteOrderMark.size());
  }
  if (line.empty()) return dispatch();
  const std::size_t colon = line.substr(0, kLongestName + 1).find(':');
  if (colon == 0) return process_comment(without_space(line.substr(1)));
  if (colon != line.npos) {
    return process_field(line.substr(0, colon), without_space(line.substr(colon + 1)));
  }
  return line.size() <= kLongestName ? process_field(line, {}) : Item::more;
}

Parser::Item Parser::process_field(std::string_view name, std::string_view value) {
  if (name == "data") {
    begin_data_line();
    append(data_, value);
    return check_event();
  }
  if (name == "event") {
    type_.clear();
    append(type_, value);
    return check_event();
  }
  if (name == "id") return process_id(value);
  if (name == "retry") process_retry(value);
  return Item::more;
}

Parser::Item Parser::process_comment(std::string_view text) {
  if (!reports_comments_) return Item::more;
  comment_.clear();
  append(comment_, text);
  return Item::comment;
}

Parser::Item Parser::process_id(std::string_view value) {
  if (value.find('\0') != value.npos) return Item::more;
  id_.clear();
  append(id_, value);
  has_id_ = true;
  return id_.size() > limits_.id ? refuse("id", limits_.id, id_.size()) : Item::more;
}

void Parser::process_retry(std::string_view value) {
  if (value.empty() || !std::all_of(value.begin(), value.end(), detail::is_digit)) return;
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  std::int64_t count = 0;
  for (const char digit : value) count = std::min(kMost, count * 10 + (digit - '0'));
  retry_ = std::chrono::milliseconds(count);
}

Parser::Item Parser::dispatch() {
  if (std::exchange(has_id_, false)) last_event_id_.swap(id_);
  if (!std::exchange(has_data_, false)) {
    type_.clear();
    return Item::more;
  }
  event_.type = "message";
  if (!type_.empty()) event_.type.swap(type_);
  type_.clear();
  last_size_ = data_.size();
  event_.data = std::exchange(data_, {});
  event_.id = last_event_id_;
  work_ += last_event_id_.size();
  return Item::event;
}

void Parser::begin_data_line() {
  if (std::exchange(has_data_, true)) data_.push_back('\n');
}

void Parser::append(std::string& out, std::string_view text) {
  work_ += 2 * text.size();  // checked, and copied
  detail::append_utf8(out, text);
}

Parser::Item Parser::check_event() {
  const std::size_t size = data_.size() + type_.size();
  return size > limits_.event ? refuse("event", limits_.event, size) : Item::more;
}

Parser::Item Parser::refuse(const char* option, std::size_t limit, std::size_t seen) {
  refusal_ = std::string("SseLimits::") + option + " = " + std::to_string(limit) + ": " +
             std::to_string(seen) + " bytes";
  return Item::too_large;
}

}  // namespace weir::sse
