#pragma once

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/child.hpp"

namespace weir::test {

/// The path in an environment variable that ctest sets.
inline std::string program_of(const char* variable) {
  const char* const path = std::getenv(variable);
  if (path == nullptr) throw std::runtime_error(std::string(variable) + " is not set");
  return path;
}

/// The path of a program that stands where programs do; empty if there is none.
inline std::string installed(const std::string& name) {
  for (const char* folder : {"/usr/bin/", "/usr/local/bin/"}) {
    if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
  }
  return {};
}

/// `weir-harness serve` in a process of its own, so that what we measure of ours is ours.
class ServerProcess {
 public:
  explicit ServerProcess(bool tls = false, bool http2 = false)
      : process_(command(tls, http2)), ready_(process_.line()) {
    if (url().empty()) throw std::runtime_error("weir-harness serve: no URL in '" + ready_ + "'");
  }
  ~ServerProcess() {
    process_.signal(SIGTERM);
    process_.wait();
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  std::string url(std::string_view path = {}) const { return value("url").append(path); }
  /// PEM; empty without TLS.
  std::string ca() const { return value("ca"); }

 private:
  static std::vector<std::string> command(bool tls, bool http2) {
    std::vector<std::string> words{program_of("WEIR_HARNESS"), "serve"};
    if (tls) words.emplace_back("--tls");
    if (http2) words.emplace_back("--http2");
    return words;
  }
  /// A string in the JSON line, its line ends restored; empty if there is none.
  std::string value(std::string_view key) const {
    const std::string begin = "\"" + std::string(key) + "\":\"";
    const std::size_t at = ready_.find(begin);
    if (at == ready_.npos) return {};
    const std::size_t from = at + begin.size();
    std::string text = ready_.substr(from, ready_.find('"', from) - from);
    for (std::size_t i = 0; (i = text.find("\\n", i)) != text.npos;) text.replace(i, 2, "\n");
    return text;
  }

  Child process_;
  std::string ready_;
};

}  // namespace weir::test
