#pragma once

#include <string>
#include <string_view>

#include "net/curl_handle.hpp"
#include "net/driver.hpp"

namespace weir::net {

class CurlDriver;

/// Initializes libcurl once for the process; it is never cleaned up. Throws Error unsupported if it
/// cannot.
void initialize_curl();

/// Throws std::bad_alloc, or Error: unsupported where this libcurl lacks the option, else
/// invalid_argument.
void check_option(CURLcode result);

template <class T>
void set_option(CURL* easy, CURLoption option, T value) {
  check_option(curl_easy_setopt(easy, option, value));
}

/// Everything that is the same for all requests of a driver, with every limit and default
/// that libcurl leaves open set explicitly.
void apply_common_options(CURL* easy, CurlDriver& driver);

/// Method, URL, body and fields. The result holds the fields; it, and `request`, must outlive the
/// transfer.
CurlList apply_request(CURL* easy, const Request& request);

/// May be sent twice with the effect of once. Spec: RFC 9110 section 9.2.2.
bool is_idempotent(std::string_view method) noexcept;

}  // namespace weir::net
