#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backpressure/checked.hpp"
#include "interop/folder.hpp"
#include "support/child.hpp"
#include "support/listener.hpp"

namespace weir::test {

/// Waits until someone listens at the port. Throws std::runtime_error after 20 s.
inline void wait_for_listener(std::uint16_t port, const char* name) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!can_connect(port)) {
    if (std::chrono::steady_clock::now() > limit)
      throw std::runtime_error(std::string(name) + " is silent");
    std::this_thread::yield();
  }
}

/// apache2, plain (HTTP/1.1) and TLS (HTTP/2 as well, if its module is there), on free ports and in
/// a folder of its own.
///
/// `/files/...` are files made by `make_file()`, `/deflated/...` the same ones, sent as gzip.
class Apache {
 public:
  Apache() {
    const auto& root = folder_.path();
    std::filesystem::create_directory(root / "files");
    make_certificate(root);
    if (::geteuid() == 0) {  // it serves as somebody else
      std::filesystem::permissions(root, std::filesystem::perms(0755));
    }
    plain_ = Listener().port();
    tls_ = Listener().port();
    std::ofstream(root / "apache2.conf") << configuration();
    child_.emplace(std::vector<std::string>{program(), "-d", root, "-f", root / "apache2.conf",
                                            "-D", "FOREGROUND"});
    wait_for_listener(plain_, "apache2");
    wait_for_listener(tls_, "apache2");
  }

  /// Where it is not installed the tests say so, and ctest counts them as skipped.
  static bool installed() { return !program().empty(); }
  static bool has_http2() { return has_module("http2"); }

  std::string url(bool tls, std::string_view path) const {
    return (tls ? "https://127.0.0.1:" : "http://127.0.0.1:") +
           std::to_string(tls ? tls_ : plain_) + std::string(path);
  }
  std::string ca_file() const { return folder_.path() / "cert.pem"; }
  void make_file(const std::string& name, std::uint64_t seed, std::uint64_t size) const {
    test::make_file(folder_.path() / "files" / name, seed, size);
  }

 private:
  static std::string program() { return find_program("WEIR_APACHE", "apache2"); }
  static std::string module_path(const std::string& name) {
    return "/usr/lib/apache2/modules/mod_" + name + ".so";
  }
  static bool has_module(const std::string& name) {
    return std::filesystem::exists(module_path(name));
  }

  std::string configuration() const {
    const std::string root = folder_.path();
    std::ostringstream text;
    for (const char* name :
         {"mpm_event", "authz_core", "alias", "dir", "filter", "deflate", "ssl", "http2"}) {
      if (has_module(name))
        text << "LoadModule " << name << "_module " << module_path(name) << "\n";
    }
    if (::geteuid() == 0) text << "User www-data\nGroup www-data\n";
    text << "ServerName localhost\nDefaultRuntimeDir " << root << "\nPidFile " << root
         << "/pid\nErrorLog " << root << "/error.log\nMutex posixsem\nServerLimit 1\n"
         << "StartServers 1\nSSLSessionCache none\n"
         << "Listen 127.0.0.1:" << plain_ << "\nListen 127.0.0.1:" << tls_ << "\n"
         << "DocumentRoot " << root << "/files\nAlias /files " << root << "/files\nAlias /deflated "
         << root << "/files\n<Directory " << root << "/files>\n  Require all granted\n"
         << "</Directory>\n<Location /deflated>\n  SetOutputFilter DEFLATE\n</Location>\n"
         << "<VirtualHost 127.0.0.1:" << tls_ << ">\n  SSLEngine on\n  SSLCertificateFile " << root
         << "/cert.pem\n  SSLCertificateKeyFile " << root << "/key.pem\n"
         << (has_http2() ? "  Protocols h2 http/1.1\n" : "") << "</VirtualHost>\n";
    return text.str();
  }

  TemporaryFolder folder_;
  std::uint16_t plain_ = 0;
  std::uint16_t tls_ = 0;
  std::optional<Child> child_;  // ends before the folder goes
};

/// How it can be spoken to.
inline std::vector<Protocol> apache_protocols() {
  std::vector<Protocol> all{{"h1", false, HttpVersion::http1},
                            {"h1 + TLS", true, HttpVersion::http1}};
  if (Apache::has_http2()) all.push_back({"h2", true, HttpVersion::http2});
  return all;
}

}  // namespace weir::test

/// First in each test that needs apache2.
#define WEIR_NEEDS_APACHE()                         \
  do {                                              \
    if (!weir::test::Apache::installed()) {         \
      MESSAGE("SKIPPED: apache2 is not installed"); \
      return;                                       \
    }                                               \
  } while (false)
