#pragma once

#include <string>
#include <string_view>

#include "net/curl_handle.hpp"
#include "net/driver.hpp"

namespace weir::net {

class CurlDriver;
struct CurlQuirks;

/// How URLs are parsed: spaces and what is not ASCII are percent-encoded, as browsers do.
inline constexpr unsigned kUrlFlags = CURLU_URLENCODE | CURLU_ALLOW_SPACE;

/// How a request is to go out.
struct VersionPlan {
  long version = CURL_HTTP_VERSION_1_1;  ///< CURLOPT_HTTP_VERSION
  bool own_connection = false;           ///< It must neither take an idle connection nor leave one.
  bool may_be_http2 = false;
  bool must_be_http2 = false;
};

/// Initializes libcurl once for the process; it is never cleaned up. Throws Error unsupported if it
/// cannot.
void initialize_curl();

/// Throws std::bad_alloc, or Error: unsupported where this libcurl lacks the option, else
/// invalid_argument.
void check_option(CURLcode result);

/// The same for the multi handle; anything but success is unsupported.
void check_multi(CURLMcode result);

template <class T>
void set_option(CURL* easy, CURLoption option, T value) {
  check_option(curl_easy_setopt(easy, option, value));
}

/// The value of CURLOPT_FORBID_REUSE for a driver with these options.
inline long forbid_reuse(const ClientOptions& options) noexcept {
  return options.max_idle_connections == 0 ? 1L : 0L;
}

/// Everything that is the same for all requests of a driver, with every limit and default
/// that libcurl leaves open set explicitly. The functions below leave none of it changed.
void apply_common_options(CURL* easy, CurlDriver& driver);

/// Method, URL, body and fields; of the options it sets, a GET sets no other than every request
/// does. The result holds the fields; it, and `request`, must outlive the transfer.
CurlList apply_request(CURL* easy, const Request& request);

/// The rules of HttpVersion, for the libcurl that has these quirks. Throws Error unsupported.
VersionPlan plan_version(const Request& request, const CurlQuirks& quirks);
/// The version, and what it means for the connection.
void apply_version(CURL* easy, const VersionPlan& plan, const ClientOptions& options);

/// False where libcurl keeps more in a handle than a transfer should find: credentials of the URL,
/// streams of HTTP/2.
bool may_share_handle(const Request& request, const VersionPlan& plan) noexcept;

/// May be sent twice with the effect of once. Spec: RFC 9110 section 9.2.2.
bool is_idempotent(std::string_view method) noexcept;
/// That, and its body is still there. What a connection that closed without an answer allows.
bool may_be_sent_again(const Request& request) noexcept;

}  // namespace weir::net
