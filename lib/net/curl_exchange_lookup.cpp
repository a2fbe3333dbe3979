#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "base/ascii.hpp"
#include "net/curl_driver.hpp"
#include "net/curl_exchange.hpp"
#include "net/curl_url.hpp"

// What of a CurlExchange has to do with looking up its host: the driver's LookupGate decides
// when it may.

namespace weir::net {

namespace {

/// libcurl answers these itself: addresses, and the names of this machine.
bool needs_no_lookup(std::string_view host) noexcept {
  if (host.starts_with('[') || host == "localhost" || host.ends_with(".localhost")) return true;
  const auto in_address = [](char c) { return c == '.' || detail::is_digit(c); };
  return std::count(host.begin(), host.end(), '.') == 3 &&
         std::all_of(host.begin(), host.end(), in_address);
}

/// What libcurl keeps an answer for. Empty: nothing is looked up. Through a proxy it is the proxy's
/// name, or for SOCKS the host's; so neither is asked for more often than this.
std::string lookup_key(const std::string& url, bool has_proxy) {
  const std::string origin = origin_of(url);
  const std::string key = origin.substr(origin.find("//") + 2);
  return needs_no_lookup(key.substr(0, key.rfind(':'))) && !has_proxy ? "" : key;
}

}  // namespace

// libcurl has neither an idle connection nor the addresses: it is about to make a thread.
bool CurlExchange::on_lookup() {
  note_connecting();
  if (orphan_) return false;
  if (driver_.quirks().remembers_refused_lookups) return true;
  std::string key = lookup_key(exchange_->request.url, driver_.route().has_proxy());
  if (key.empty()) return true;
  lookup_time_ = lookup_time();
  lookup_sends_ = sends_;
  return driver_.lookups().enter(*this, std::move(key));
}

/// Grows with each lookup of this transfer that succeeds.
curl_off_t CurlExchange::lookup_time() const noexcept {
  curl_off_t time = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_NAMELOOKUP_TIME_T, &time);
  return time;
}

void CurlExchange::share_lookup(const CurlExchange& front, CURLcode result) noexcept {
  words_ = front.words_;
  complete(result);
}

void CurlExchange::prepare_again() noexcept {
  words_[0] = '\0';
  begun_ = driver_.now();
}

void CurlExchange::become_orphan() noexcept {
  orphan_ = true;
  phase_ = Phase::discarding;
  driver_.deadlines().remove(*this);
  if (std::exchange(attached_, false)) exchange_->attach(nullptr);
  // Whoever asks for the same host goes on waiting, and the thread is accounted for.
  constexpr long kLongest = std::numeric_limits<std::int32_t>::max();
  curl_easy_setopt(easy_.get(), CURLOPT_CONNECTTIMEOUT_MS, kLongest);
}

}  // namespace weir::net
