#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "backpressure/checked.hpp"
#include "interop/folder.hpp"
#include "support/child.hpp"
#include "weir/harness/firehose.hpp"

namespace weir::test {

/// A socket that listens on a free port of 127.0.0.1, for a child to inherit.
class ListeningSocket {
 public:
  ListeningSocket() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd_, 511) != 0 ||
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::system_error(errno, std::generic_category(), "listen");
    }
    port_ = ntohs(address.sin_port);
  }
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;
  ~ListeningSocket() { close(); }

  void close() noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int fd() const noexcept { return fd_; }
  std::uint16_t port() const noexcept { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

/// nginx, plain (HTTP/1.1) and TLS (HTTP/2 as well), on free ports and in a folder of its own, as
/// the current user.
///
/// `/files/...` are files made by `make_file()`; `/proxy/...` is the Firehose behind it,
/// unbuffered; `/large_head` has 80 header fields of 1,000 bytes.
/// It gets its listening sockets from the test (the way it hands them to its successor in an
/// upgrade): no port can be taken in between, and connections are accepted from the first moment.
class Nginx {
 public:
  explicit Nginx(const harness::Firehose& behind) {
    const auto& root = folder_.path();
    std::filesystem::create_directory(root / "files");
    make_certificate(root);
    std::ofstream(root / "nginx.conf") << configuration(behind);
    child_.emplace(std::vector<std::string>{program(), "-p", root, "-c", root / "nginx.conf", "-e",
                                            root / "error.log"},
                   std::vector<std::string>{"NGINX=" + std::to_string(plain_.fd()) + ";" +
                                            std::to_string(tls_.fd()) + ";"});
    plain_.close();
    tls_.close();
  }

  /// Where nginx is not installed the tests say so, and ctest counts them as skipped.
  static bool installed() { return !program().empty(); }

  std::string url(bool tls, std::string_view path) const {
    return (tls ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port(tls)) +
           std::string(path);
  }
  std::uint16_t port(bool tls) const noexcept { return tls ? tls_.port() : plain_.port(); }
  std::string ca_file() const { return folder_.path() / "cert.pem"; }
  Child& process() { return *child_; }
  /// The process that serves; changes when it was killed.
  pid_t worker() const {
    const std::string pid = std::to_string(child_->pid());
    pid_t worker = 0;
    std::ifstream("/proc/" + pid + "/task/" + pid + "/children") >> worker;
    return worker;
  }
  std::string error_log() const {
    std::ostringstream text;
    text << std::ifstream(folder_.path() / "error.log").rdbuf();
    return text.str();
  }

  /// Writes `size` bytes of the pattern of `seed` to /files/`name`.
  void make_file(const std::string& name, std::uint64_t seed, std::uint64_t size) const {
    test::make_file(folder_.path() / "files" / name, seed, size);
  }

 private:
  static std::string program() { return find_program("WEIR_NGINX", "nginx"); }

  std::string configuration(const harness::Firehose& behind) const {
    std::ostringstream text;
    if (::geteuid() == 0) text << "user " << ::getpwuid(0)->pw_name << " root;\n";
    text << "daemon off;\nworker_processes 1;\npid nginx.pid;\n"
            "events { worker_connections 512; }\n"
            "http {\n  access_log off;\n  sendfile on;\n  keepalive_requests 10000;\n";
    for (const char* const kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
      text << "  " << kind << "_temp_path temp_" << kind << ";\n";
    }
    text << "  server {\n    listen 127.0.0.1:" << plain_.port()
         << ";\n    listen 127.0.0.1:" << tls_.port()
         << " ssl http2;\n    root .;\n    ssl_certificate cert.pem;\n"
            "    ssl_certificate_key key.pem;\n"
            "    location /proxy/ {\n      proxy_pass "
         << behind.url() << "/;\n      proxy_buffering off;\n      proxy_http_version 1.1;\n    }\n"
         << "    location /large_head {\n";
    for (int i = 0; i < 80; ++i) {
      text << "      add_header X-" << i << " " << std::string(1000, 'v') << ";\n";
    }
    text << "      return 200 body;\n    }\n  }\n}\n";
    return text.str();
  }

  TemporaryFolder folder_;
  ListeningSocket plain_;
  ListeningSocket tls_;
  std::optional<Child> child_;  // ends before the folder goes
};

inline constexpr Protocol kNginxProtocols[] = {{"h1", false, HttpVersion::http1},
                                               {"h1 + TLS", true, HttpVersion::http1},
                                               {"h2", true, HttpVersion::http2}};

}  // namespace weir::test

/// First in each test that needs nginx.
#define WEIR_NEEDS_NGINX()                        \
  do {                                            \
    if (!weir::test::Nginx::installed()) {        \
      MESSAGE("SKIPPED: nginx is not installed"); \
      return;                                     \
    }                                             \
  } while (false)
