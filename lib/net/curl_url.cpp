#include "net/curl_url.hpp"

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"
#include "net/curl_setup.hpp"

namespace weir::net {
namespace {

using std::string_view;

UrlHandle parsed(const std::string& text) {
  check_url(text);  // its NUL bytes, too
  auto url = made<UrlHandle>(curl_url());
  const CURLUcode result = curl_url_set(url.get(), CURLUPART_URL, text.c_str(), kUrlFlags);
  if (result == CURLUE_OUT_OF_MEMORY) throw std::bad_alloc();
  if (result != CURLUE_OK) throw Error({.code = errc::invalid_argument, .detail = "malformed URL"});
  return url;
}

/// As it is in the URL; empty if it is not there.
std::string part(const UrlHandle& url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  const CURLUcode result = curl_url_get(url.get(), which, &text, flags);
  if (result == CURLUE_OUT_OF_MEMORY) throw std::bad_alloc();
  const CurlText owned(text);
  return text != nullptr ? std::string(text) : std::string();
}

void set_part(const UrlHandle& url, CURLUPart which, const std::string& value) {
  const char* const text = value.empty() ? nullptr : value.c_str();
  if (curl_url_set(url.get(), which, text, 0) != CURLUE_OK) throw std::bad_alloc();
}

bool has_scheme(string_view reference) noexcept {
  const auto end = std::min(reference.find_first_of(":/?#"), reference.size());
  return end < reference.size() && reference[end] == ':' && end > 0 &&
         detail::is_alpha(reference.front()) &&
         std::all_of(reference.begin(), reference.begin() + static_cast<std::ptrdiff_t>(end),
                     [](char c) {
                       return detail::is_alpha(c) || detail::is_digit(c) || c == '+' || c == '-' ||
                              c == '.';
                     });
}

/// RFC 3986 section 5.2.2, but for the dot segments, which libcurl removes. libcurl's own way with
/// references differs between versions, and takes a query or a fragment for part of the path.
std::string joined(string_view base, string_view reference) {
  if (has_scheme(reference)) return std::string(reference);
  const auto authority = base.find("//");
  if (reference.starts_with("//")) return std::string(base.substr(0, authority)).append(reference);
  const auto up_to = [&](const char* ends) {
    return base.substr(0, std::min(base.find_first_of(ends, authority + 2), base.size()));
  };
  string_view kept;
  if (reference.empty() || reference.front() == '#') {
    kept = up_to("#");
  } else if (reference.front() == '?') {
    kept = up_to("?#");
  } else if (reference.front() == '/') {
    kept = up_to("/?#");
  } else {
    kept = up_to("?#");
    kept = kept.substr(0, kept.rfind('/') + 1);
  }
  return std::string(kept).append(reference);
}

bool have_one_origin(const UrlHandle& a, const UrlHandle& b) {
  const auto equal = [&](CURLUPart which) {
    return detail::equal_ignoring_case(part(a, which, CURLU_DEFAULT_PORT),
                                       part(b, which, CURLU_DEFAULT_PORT));
  };
  return equal(CURLUPART_SCHEME) && equal(CURLUPART_HOST) && equal(CURLUPART_PORT);
}

bool is_https(const UrlHandle& url) {
  return detail::equal_ignoring_case(part(url, CURLUPART_SCHEME), "https");
}

}  // namespace

Target resolve_url(const std::string& base, string_view reference) {
  const UrlHandle from = parsed(base);
  const std::string whole = part(from, CURLUPART_URL);  // it has a path now
  std::string text = joined(whole, reference);
  const auto fragment = whole.find('#');
  if (fragment != whole.npos && reference.find('#') == reference.npos) text.append(whole, fragment);
  const UrlHandle to = parsed(text);

  Target target;
  target.same_origin = have_one_origin(from, to);
  target.leaves_https = is_https(from) && !is_https(to);
  const bool has_own = !part(to, CURLUPART_USER).empty() || !part(to, CURLUPART_PASSWORD).empty();
  if (!target.same_origin || !has_own) {
    for (const auto which : {CURLUPART_USER, CURLUPART_PASSWORD}) {
      set_part(to, which, target.same_origin ? part(from, which) : std::string());
    }
  }
  target.url = part(to, CURLUPART_URL);
  return target;
}

std::string origin_of(const std::string& text) {
  const UrlHandle url = parsed(text);
  std::string origin = part(url, CURLUPART_SCHEME) + "://" + part(url, CURLUPART_HOST) + ":" +
                       part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  std::transform(origin.begin(), origin.end(), origin.begin(), detail::to_lower);
  return origin;
}

}  // namespace weir::net
