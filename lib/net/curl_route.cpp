#include "net/curl_route.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/ascii.hpp"
#include "net/curl_setup.hpp"

namespace weir::net {

namespace {

constexpr std::string_view kDirect = "direct";

[[noreturn]] void refuse(errc code, std::string why) {
  throw Error({.code = code, .detail = std::move(why)});
}

// Neither shows the text, which may hold a password.
[[noreturn]] void refuse_proxy() { refuse(errc::invalid_argument, "proxy: malformed URL"); }

void require(CURLUcode result) {
  if (result == CURLUE_OUT_OF_MEMORY) throw std::bad_alloc();
  if (result != CURLUE_OK) refuse_proxy();
}

/// Decoded; empty if the URL has none.
std::string part_of(const UrlHandle& url, CURLUPart which) {
  char* text = nullptr;
  const CURLUcode result = curl_url_get(url.get(), which, &text, CURLU_URLDECODE);
  const CurlText owned(text);
  if (result == CURLUE_NO_USER || result == CURLUE_NO_PASSWORD) return "";
  require(result);
  return text;
}

void check_scheme(const std::string& scheme) {
  const auto is = [&](const char* name) { return detail::equal_ignoring_case(scheme, name); };
  if (!is("http") && !is("https") && !is("socks5") && !is("socks5h"))
    refuse(errc::invalid_argument, "proxy: its scheme is none of http, https, socks5, socks5h");
  const auto features = curl_version_info(CURLVERSION_NOW)->features;
  if (is("https") && (features & CURL_VERSION_HTTPS_PROXY) == 0)
    refuse(errc::unsupported, "proxy: this libcurl speaks no TLS to proxies");
}

/// The URL of the proxy that the options name, with a scheme; empty if they name none. What is
/// wrong with one libcurl would tell at the first request, with the password, or (one that cannot
/// be decoded) by going without the proxy.
std::string checked_proxy(const std::string& proxy) {
  if (proxy.empty() || proxy == kDirect) return "";
  const bool printable = std::none_of(proxy.begin(), proxy.end(),
                                      [](char c) { return c == ' ' || detail::is_control(c); });
  if (!printable || proxy.find_first_of("?#") != proxy.npos) refuse_proxy();
  std::string whole = proxy.find("://") == proxy.npos ? "http://" + proxy : proxy;
  const auto url = made<UrlHandle>(curl_url());
  require(curl_url_set(url.get(), CURLUPART_URL, whole.c_str(), CURLU_NON_SUPPORT_SCHEME));
  for (const auto part : {CURLUPART_USER, CURLUPART_PASSWORD}) part_of(url, part);
  if (part_of(url, CURLUPART_HOST).empty() || part_of(url, CURLUPART_PATH) != "/") refuse_proxy();
  check_scheme(part_of(url, CURLUPART_SCHEME));
  return whole;
}

void check_socket(const ClientOptions& options) {
  const std::string& path = options.unix_socket;
  if (path.empty()) return;
  if (path.size() >= sizeof(sockaddr_un::sun_path))
    refuse(errc::invalid_argument, "unix_socket: the path is too long");
  if (path.find('\0') != path.npos) refuse(errc::invalid_argument, "unix_socket: NUL in the path");
  if (!options.proxy.empty() && options.proxy != kDirect)
    refuse(errc::invalid_argument, "unix_socket and proxy exclude each other");
}

bool is_address(const std::string& text) noexcept {
  std::array<std::byte, sizeof(in6_addr)> parsed;
  return text.find('\0') == text.npos && (::inet_pton(AF_INET, text.c_str(), parsed.data()) == 1 ||
                                          ::inet_pton(AF_INET6, text.c_str(), parsed.data()) == 1);
}

/// What libcurl's entries are made of: no sign in front, no separator inside.
bool is_host(std::string_view host) noexcept {
  return !host.empty() && host.size() < 256 && host.front() != '-' && host.front() != '+' &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return c > ' ' && c != '\x7f' && c != ':' && c != ',' && c != '/' && c != '@';
         });
}

/// libcurl wants all addresses of a host in one line.
CurlList lines_of(const std::vector<HostAddress>& entries) {
  std::map<std::string, std::string> lines;
  for (const HostAddress& entry : entries) {
    if (!is_host(entry.host)) refuse(errc::invalid_argument, "resolve: not the name of a host");
    if (entry.port == 0) refuse(errc::invalid_argument, "resolve: the port is 0");
    if (!is_address(entry.address)) refuse(errc::invalid_argument, "resolve: no numeric address");
    std::string start = entry.host + ":" + std::to_string(entry.port) + ":";
    std::transform(start.begin(), start.end(), start.begin(), detail::to_lower);
    std::string& line = lines[start];
    line += (line.empty() ? start : ",") + "[" + entry.address + "]";
  }
  CurlList list;
  for (const auto& [start, line] : lines) list.append(line.c_str());
  return list;
}

}  // namespace

CurlRoute::CurlRoute(const ClientOptions& options)
    : options_(options),
      proxy_(checked_proxy(options.proxy)),
      addresses_(lines_of(options.resolve)) {
  check_socket(options);
  apply(made<EasyHandle>(curl_easy_init()).get());
}

void CurlRoute::apply(CURL* easy) const {
  // Fields of a request are for its server, those of libcurl for the proxy.
  set_option(easy, CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));
  set_option(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set_option(easy, CURLOPT_PROXYAUTH, static_cast<long>(CURLAUTH_BASIC));
  set_option(easy, CURLOPT_SOCKS5_AUTH, static_cast<long>(CURLAUTH_BASIC));
  if (options_.proxy == kDirect || !options_.unix_socket.empty()) {
    set_option(easy, CURLOPT_PROXY, "");
  } else if (has_proxy()) {
    set_option(easy, CURLOPT_PROXY, proxy_.c_str());
    set_option(easy, CURLOPT_NOPROXY, "");  // whatever the environment says
  }
  if (!options_.unix_socket.empty())
    set_option(easy, CURLOPT_UNIX_SOCKET_PATH, options_.unix_socket.c_str());
  if (addresses_.get() != nullptr) set_option(easy, CURLOPT_RESOLVE, addresses_.get());
}

}  // namespace weir::net
