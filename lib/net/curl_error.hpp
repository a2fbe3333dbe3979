#pragma once

#include <curl/curl.h>

#include <chrono>
#include <string>
#include <string_view>

#include "weir/error.hpp"

namespace weir::net {

/// How far an exchange had come when libcurl gave up on it.
struct Progress {
  bool head_started = false;   ///< Some byte of the response had arrived.
  bool head_complete = false;  ///< All of the head had.
  bool out_of_sockets = false;
  std::chrono::milliseconds connect_timeout{0};
  bool connected = false;  ///< The request could be sent: the handshake, a proxy's too, was over.
  bool through_proxy = false;  ///< It was a proxy's connection, as far as is known.
  long verify_result = 0;      ///< CURLINFO_SSL_VERIFYRESULT
};

/// Names a libcurl error by what the caller can do; libcurl's own words go into the detail.
/// Must not be called with CURLE_OK or CURLE_OUT_OF_MEMORY.
Failure failure_of(CURLcode code, std::string_view words, const Progress& progress);

/// Of libcurl's errors those that mean, before a response, that the server closed the connection,
/// or said so (HTTP/2's GOAWAY), and did not break rules.
bool connection_ended(CURLcode code, std::string_view words);

/// These words, of CURLE_COULDNT_CONNECT or CURLE_COULDNT_RESOLVE_HOST, are about another host than
/// the URL's: about a proxy.
bool went_elsewhere(std::string_view words, const std::string& url);

/// What a request for `url` is told when its driver goes.
Failure client_destroyed(const std::string& url);

}  // namespace weir::net
