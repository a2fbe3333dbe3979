#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/ascii.hpp"

namespace weir::detail {

/// Where the authority (`user:password@host:port`) of a URL begins, as far as the text allows to
/// tell: it need not be a URL.
constexpr std::size_t authority_start(std::string_view url) noexcept {
  const auto slashes = url.substr(0, url.find_first_of("?#")).find_first_of("/\\");
  if (slashes == std::string_view::npos) return 0;
  const auto before = url.substr(0, slashes);
  if (before.find('@') != std::string_view::npos) return 0;
  const auto after = std::min(url.find_first_not_of("/\\", slashes), url.size());
  if (after - slashes > 1 || before.ends_with(':')) return after;
  return slashes == 0 ? url.size() : 0;  // one slash in front is a path alone
}

/// The URL as it may be shown: without userinfo, and without control characters. In text that
/// is no URL, what some parser might take for userinfo is removed as well. An "@" in a path,
/// query or fragment is kept.
inline std::string without_credentials(std::string_view url) {
  std::string text(url);
  std::erase_if(text, is_control);
  if (text.find('@') == std::string::npos) return text;
  const auto start = authority_start(text);
  // Ends where libcurl ends it: a backslash, though a slash to browsers, may be in a password.
  const auto end = std::min(text.find_first_of("/?#", start), text.size());
  const auto at = std::string_view(text).substr(0, end).rfind('@');
  if (at != std::string_view::npos && at >= start) text.erase(start, at + 1 - start);
  return text;
}

inline bool is_https(std::string_view url) noexcept {
  return equal_ignoring_case(url.substr(0, 6), "https:");
}

/// A URL that any parser accepts, as it is: `http` or `https`, a host name or IPv4 address, a port
/// if any, and then printable ASCII. There is no userinfo, and no more than 2 KiB.
inline bool is_plain_url(std::string_view url) noexcept {
  constexpr std::size_t kLongest = 2048;
  if (url.size() > kLongest || !(url.starts_with("http://") || url.starts_with("https://")))
    return false;
  auto rest = url.substr(url.find("//") + 2);
  const auto host_end = std::find_if_not(rest.begin(), rest.end(), [](char c) {
    return is_alpha(c) || is_digit(c) || c == '.' || c == '-';
  });
  if (host_end == rest.begin()) return false;
  rest.remove_prefix(static_cast<std::size_t>(host_end - rest.begin()));
  if (rest.starts_with(':')) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), port);
    if (error != std::errc{}) return false;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  }
  return (rest.empty() || rest.front() == '/' || rest.front() == '?' || rest.front() == '#') &&
         std::all_of(rest.begin(), rest.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace weir::detail
