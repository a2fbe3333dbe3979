#include "flow/watermarks.hpp"

#include <utility>

#include "weir/error.hpp"

namespace weir::flow {

namespace {

[[noreturn]] void throw_invalid(const char* detail) {
  Failure failure;
  failure.code = errc::invalid_argument;
  failure.detail = detail;
  throw Error(std::move(failure));
}

}  // namespace

Watermarks Watermarks::resolve(Watermarks client, std::size_t high, std::size_t low) {
  if (client.high == 0 || client.low == 0 || client.unread_high == 0) {
    throw_invalid("high_water, low_water and unread_high_water must not be zero");
  }
  Watermarks marks = client;
  if (client.low == Watermarks{}.low) {
    marks.low = std::min(client.low, quarter(client.high));
  } else if (client.low >= client.high) {
    throw_invalid("low_water must be below high_water");
  }
  if (high != 0) {
    marks.high = high;
    marks.low = std::min(marks.low, quarter(high));
  }
  if (low != 0) {
    if (low >= marks.high) throw_invalid("low_water must be below high_water");
    marks.low = low;
  }
  marks.unread_high = std::min(marks.unread_high, marks.high);
  return marks;
}

}  // namespace weir::flow
