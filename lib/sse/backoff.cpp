#include "sse/backoff.hpp"

#include <algorithm>
#include <ctime>
#include <iomanip>
#include <locale>
#include <sstream>
#include <string>
#include <utility>

#include "base/ascii.hpp"

namespace weir::sse {
namespace {

constexpr std::chrono::hours kFar{24};  // more is never honoured

std::optional<std::chrono::sys_seconds> date(std::string_view value) {
  std::tm fields{};
  std::istringstream in{std::string(value)};
  in.imbue(std::locale::classic());
  in >> std::get_time(&fields, "%a, %d %b %Y %H:%M:%S GMT");
  if (in.fail()) return std::nullopt;
  const std::chrono::year_month_day day{
      std::chrono::year(fields.tm_year + 1900),
      std::chrono::month(static_cast<unsigned>(fields.tm_mon + 1)),
      std::chrono::day(static_cast<unsigned>(fields.tm_mday))};
  if (!day.ok()) return std::nullopt;
  return std::chrono::sys_days(day) + std::chrono::hours(fields.tm_hour) +
         std::chrono::minutes(fields.tm_min) + std::chrono::seconds(fields.tm_sec);
}

}  // namespace

Backoff::milliseconds Backoff::lost(detail::TimePoint now, const Asked& asked,
                                    double chance) noexcept {
  const detail::TimePoint up_since = std::exchange(up_since_, detail::TimePoint::max());
  if (now - up_since >= kLongUp) doublings_ = 0;
  const milliseconds base = asked.retry ? std::clamp(*asked.retry, kLeast, kMost) : retry_;
  const milliseconds most = std::max(base, max_retry_);
  milliseconds wait = base;
  for (int i = 0; i < doublings_ && wait < most; ++i) wait = std::min(2 * wait, most);
  if (wait < most) ++doublings_;
  if (asked.retry_after) wait = std::max(wait, std::clamp(*asked.retry_after, kLeast, kMost));
  const auto half = static_cast<double>(wait.count()) / 2;
  return wait + milliseconds(static_cast<milliseconds::rep>(half * chance));
}

std::optional<std::chrono::milliseconds> retry_after(std::string_view value,
                                                     std::chrono::system_clock::time_point now) {
  value = detail::trim(value);
  if (!value.empty() && std::all_of(value.begin(), value.end(), detail::is_digit)) {
    std::chrono::seconds seconds{0};
    for (const char digit : value) {
      seconds =
          std::min<std::chrono::seconds>(kFar, seconds * 10 + std::chrono::seconds(digit - '0'));
    }
    return seconds;
  }
  const auto when = date(value);
  if (!when) return std::nullopt;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*when - now);
  return std::clamp<std::chrono::milliseconds>(left, std::chrono::milliseconds(0), kFar);
}

}  // namespace weir::sse
