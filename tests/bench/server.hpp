#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "interop/folder.hpp"
#include "support/child.hpp"
#include "support/listener.hpp"

namespace weir::bench {

enum class Wire { plain, tls, http2 };

/// A server in a process of its own, with a small body and a large one.
class Server {
 public:
  virtual ~Server() = default;
  virtual std::string small_url(Wire wire) const = 0;  ///< 1 KiB
  virtual std::string large_url(Wire wire) const = 0;
  virtual std::string ca_file() const = 0;
  virtual pid_t pid(Wire wire) const = 0;  ///< One process serves all of that wire.
};

/// nginx as one process, in a folder of its own: sendfile, and connections that are never closed.
class NginxServer final : public Server {
 public:
  explicit NginxServer(std::uint64_t large) {
    const auto& root = folder_.path();
    const std::string config = root / "nginx.conf";
    std::filesystem::create_directory(root / "files");
    make_file(root / "files" / "small", std::size_t{1} << 10);
    make_file(root / "files" / "large", large);
    test::make_certificate(root);
    {
      const std::array<test::Listener, 3> free;
      for (std::size_t i = 0; i < free.size(); ++i) ports_[i] = free[i].port();
    }
    std::ofstream(config) << configuration();
    child_.emplace(
        std::vector<std::string>{program(), "-p", root, "-c", config, "-e", root / "error.log"});
    wait_until_it_listens();
  }

  static bool installed() { return !program().empty(); }

  std::string small_url(Wire wire) const override { return url(wire) + "/small"; }
  std::string large_url(Wire wire) const override { return url(wire) + "/large"; }
  std::string ca_file() const override { return folder_.path() / "cert.pem"; }
  pid_t pid(Wire) const override { return child_->pid(); }

 private:
  static std::string program() { return test::find_program("WEIR_NGINX", "nginx"); }

  void wait_until_it_listens() const {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!test::can_connect(port(Wire::http2))) {
      if (std::chrono::steady_clock::now() > limit) throw std::runtime_error("nginx is silent");
      std::this_thread::yield();
    }
  }
  static void make_file(const std::string& path, std::uint64_t size) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    std::vector<std::uint64_t> piece(std::size_t{1} << 17);
    std::uint64_t value = 1;
    bool good = file >= 0;
    for (std::uint64_t left = size; good && left > 0;) {
      for (auto& word : piece) word = value *= 6364136223846793005ULL;
      const std::size_t count = std::min<std::uint64_t>(left, piece.size() * sizeof value);
      good = ::write(file, piece.data(), count) == static_cast<ssize_t>(count);
      left -= count;
    }
    // Written back now, not while something is measured.
    if (!good || ::fsync(file) != 0) throw std::system_error(errno, std::generic_category(), path);
    ::close(file);
  }

  std::string url(Wire wire) const {
    return (wire == Wire::plain ? "http://127.0.0.1:" : "https://127.0.0.1:") +
           std::to_string(port(wire));
  }
  std::uint16_t port(Wire wire) const { return ports_[static_cast<std::size_t>(wire)]; }

  std::string configuration() const {
    std::ostringstream text;
    text << "daemon off;\nmaster_process off;\npid nginx.pid;\n"
            "events { worker_connections 512; }\n"
            "http {\n  access_log off;\n  sendfile on;\n  keepalive_requests 1000000000;\n";
    for (const char* const kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
      text << "  " << kind << "_temp_path temp_" << kind << ";\n";
    }
    text << "  server {\n    root files;\n    ssl_certificate cert.pem;\n"
            "    ssl_certificate_key key.pem;\n    listen 127.0.0.1:"
         << port(Wire::plain) << ";\n    listen 127.0.0.1:" << port(Wire::tls)
         << " ssl;\n    listen 127.0.0.1:" << port(Wire::http2) << " ssl http2;\n  }\n}\n";
    return text.str();
  }

  test::TemporaryFolder folder_;
  std::array<std::uint16_t, 3> ports_{};
  std::optional<test::Child> child_;  // ends before the folder goes
};

/// weir-harness serve, one process per wire.
class HarnessServer final : public Server {
 public:
  HarnessServer(const std::string& program, std::uint64_t large) : large_(large) {
    for (const Wire wire : {Wire::plain, Wire::tls, Wire::http2}) {
      std::vector<std::string> words{program, "serve"};
      if (wire != Wire::plain) words.push_back("--tls");
      if (wire == Wire::http2) words.push_back("--http2");
      Served& served = served_[static_cast<std::size_t>(wire)];
      served.child = std::make_unique<test::Child>(words);
      const std::string ready = served.child->line();
      served.url = text_field(ready, "url");
      if (served.url.empty()) throw std::runtime_error("weir-harness did not start: " + ready);
      // Each has an authority of its own.
      std::ofstream(ca_file(), std::ios::app) << with_line_feeds(text_field(ready, "ca"));
    }
  }

  std::string small_url(Wire wire) const override { return of(wire).url + "/bytes/1024"; }
  std::string large_url(Wire wire) const override {
    return of(wire).url + "/bytes/" + std::to_string(large_);
  }
  std::string ca_file() const override { return folder_.path() / "ca.pem"; }
  pid_t pid(Wire wire) const override { return of(wire).child->pid(); }

 private:
  struct Served {
    std::unique_ptr<test::Child> child;
    std::string url;
  };
  const Served& of(Wire wire) const { return served_[static_cast<std::size_t>(wire)]; }

  static std::string text_field(std::string_view json, std::string_view name) {
    const std::string key = "\"" + std::string(name) + "\":\"";
    const auto start = json.find(key);
    if (start == json.npos) return "";
    const auto value = json.substr(start + key.size());
    return std::string(value.substr(0, value.find('"')));
  }
  static std::string with_line_feeds(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool line_feed = text.compare(i, 2, "\\n") == 0;
      out += line_feed ? '\n' : text[i];
      if (line_feed) ++i;
    }
    return out;
  }

  const std::uint64_t large_;
  test::TemporaryFolder folder_;
  std::array<Served, 3> served_;
};

}  // namespace weir::bench
