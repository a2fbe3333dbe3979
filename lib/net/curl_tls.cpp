#include "net/curl_tls.hpp"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/ascii.hpp"
#include "net/curl_handle.hpp"
#include "net/curl_setup.hpp"

namespace weir::net {

namespace {

[[noreturn]] void refuse(const char* why) {
  throw Error({.code = errc::invalid_argument, .detail = why});
}

bool is_base64(char c) noexcept {
  return detail::is_alpha(c) || detail::is_digit(c) || c == '+' || c == '/';
}

/// "sha256//" and 32 bytes as base64. libcurl would take anything else for the name of a file.
bool is_pin(std::string_view text) noexcept {
  constexpr std::string_view kKind = "sha256//";
  constexpr std::size_t kDigits = 43;
  if (!text.starts_with(kKind)) return false;
  text.remove_prefix(kKind.size());
  return text.size() == kDigits + 1 && text.back() == '=' &&
         std::all_of(text.begin(), text.end() - 1, is_base64);
}

void check_pins(std::string_view pins) {
  for (bool more = !pins.empty(); more;) {
    const auto end = std::min(pins.find(';'), pins.size());
    if (!is_pin(pins.substr(0, end))) refuse("tls.pinned_key: not \"sha256//\" and a digest");
    more = end < pins.size();
    if (more) pins.remove_prefix(end + 1);
  }
}

void check(const TlsOptions& options) {
  if (options.client_cert.empty() && !options.client_key.empty())
    refuse("tls.client_key without tls.client_cert");
  if (!options.ca_pem.empty() && options.ca_pem.find("-----BEGIN ") == std::string::npos)
    refuse("tls.ca_pem: no PEM");
  for (const auto* text : {&options.ca_file, &options.client_cert, &options.client_key}) {
    if (text->find('\0') != std::string::npos) refuse("tls: NUL in the name of a file");
  }
  check_pins(options.pinned_key);
}

// Not copied: the driver's options outlive the handle.
curl_blob blob_of(const std::string& pem) noexcept {
  return {.data = const_cast<char*>(pem.data()), .len = pem.size(), .flags = CURL_BLOB_NOCOPY};
}

bool has_feature(int feature) noexcept {
  return (curl_version_info(CURLVERSION_NOW)->features & feature) != 0;
}

bool is_gnutls() noexcept {
  const char* const library = curl_version_info(CURLVERSION_NOW)->ssl_version;
  return library != nullptr && std::string_view(library).find("GnuTLS") != std::string_view::npos;
}

/// GnuTLS's flavour has none, 8.14 included: vtls/gtls.c does not claim SSLSUPP_CAINFO_BLOB.
bool takes_blobs() {
  const std::string pem = "-";
  curl_blob blob = blob_of(pem);
  const auto easy = made<EasyHandle>(curl_easy_init());
  return curl_easy_setopt(easy.get(), CURLOPT_CAINFO_BLOB, &blob) != CURLE_NOT_BUILT_IN;
}

void set_text(CURL* easy, CURLoption option, const std::string& text) {
  if (!text.empty()) set_option(easy, option, text.c_str());
}

long version_of(TlsVersion version) noexcept {
  return version == TlsVersion::tls1_3 ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_TLSv1_2;
}

}  // namespace

CurlTls::CurlTls(const TlsOptions& options)
    : options_(options), for_proxies_(has_feature(CURL_VERSION_HTTPS_PROXY)) {
  check(options);
  if (!options.ca_pem.empty() && !takes_blobs()) authorities_.emplace(options.ca_pem);
  apply(made<EasyHandle>(curl_easy_init()).get());
}

void CurlTls::apply(CURL* easy) const {
  const long peer = options_.verify ? 1L : 0L;
  const long host = options_.verify ? 2L : 0L;
  set_option(easy, CURLOPT_SSLVERSION, version_of(options_.min_version));
  set_option(easy, CURLOPT_SSL_VERIFYPEER, peer);
  set_option(easy, CURLOPT_SSL_VERIFYHOST, host);
  if (for_proxies_) {
    set_option(easy, CURLOPT_PROXY_SSLVERSION, version_of(options_.min_version));
    set_option(easy, CURLOPT_PROXY_SSL_VERIFYPEER, peer);
    set_option(easy, CURLOPT_PROXY_SSL_VERIFYHOST, host);
  }
  apply_authorities(easy);
  set_text(easy, CURLOPT_PINNEDPUBLICKEY, options_.pinned_key);
  if (options_.client_cert.empty()) return;
  set_text(easy, CURLOPT_SSLCERT, options_.client_cert);
  set_text(easy, CURLOPT_SSLKEY, options_.client_key);
  // Without one OpenSSL asks the terminal for the password of an encrypted key, and waits; with one
  // GnuTLS takes encrypted keys only.
  if (!is_gnutls()) set_option(easy, CURLOPT_KEYPASSWD, "");
}

// The given authorities replace the system's, file and folder both.
void CurlTls::apply_authorities(CURL* easy) const {
  if (options_.ca_pem.empty() && options_.ca_file.empty()) return;
  const bool from_blob = !options_.ca_pem.empty() && !authorities_;
  const std::string& file = authorities_ ? authorities_->path() : options_.ca_file;
  curl_blob blob = blob_of(options_.ca_pem);
  const auto set = [&](CURLoption as_file, CURLoption as_folder, CURLoption as_blob) {
    set_option<const char*>(easy, as_folder, nullptr);
    set_option(easy, as_file, from_blob ? nullptr : file.c_str());
    if (from_blob) set_option(easy, as_blob, &blob);
  };
  set(CURLOPT_CAINFO, CURLOPT_CAPATH, CURLOPT_CAINFO_BLOB);
  if (for_proxies_) set(CURLOPT_PROXY_CAINFO, CURLOPT_PROXY_CAPATH, CURLOPT_PROXY_CAINFO_BLOB);
}

}  // namespace weir::net
