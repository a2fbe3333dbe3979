#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "interop/folder.hpp"
#include "support/child.hpp"
#include "support/listener.hpp"

namespace weir::test {

/// nghttpd on a free port, with TLS or by prior knowledge: `/...` are files made by `make_file()`;
/// what is POSTed is sent back.
class Nghttpd {
 public:
  explicit Nghttpd(bool tls) : tls_(tls) {
    make_certificate(folder_.path());
    port_ = Listener().port();
    std::vector<std::string> words{program(), "-d",        folder_.path(),
                                   "-a",      "127.0.0.1", "--echo-upload"};
    if (!tls) words.emplace_back("--no-tls");
    words.push_back(std::to_string(port_));
    if (tls) words.insert(words.end(), {folder_.path() / "key.pem", folder_.path() / "cert.pem"});
    child_.emplace(std::move(words));
    wait_until_it_listens();
  }

  /// Where nghttpd is not installed the tests say so, and ctest counts them as skipped.
  static bool installed() { return !program().empty(); }

  std::string url(std::string_view path) const {
    return (tls_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_) +
           std::string(path);
  }
  std::string ca_file() const { return folder_.path() / "cert.pem"; }
  Child& process() { return *child_; }
  void make_file(const std::string& name, std::uint64_t seed, std::uint64_t size) const {
    test::make_file(folder_.path() / name, seed, size);
  }

 private:
  static std::string program() { return find_program("WEIR_NGHTTPD", "nghttpd"); }

  void wait_until_it_listens() const {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!can_connect(port_)) {
      if (std::chrono::steady_clock::now() > limit) throw std::runtime_error("nghttpd is silent");
      std::this_thread::yield();
    }
  }

  TemporaryFolder folder_;
  bool tls_;
  std::uint16_t port_ = 0;
  std::optional<Child> child_;  // ends before the folder goes
};

}  // namespace weir::test

/// First in each test that needs nghttpd.
#define WEIR_NEEDS_NGHTTPD()                        \
  do {                                              \
    if (!weir::test::Nghttpd::installed()) {        \
      MESSAGE("SKIPPED: nghttpd is not installed"); \
      return;                                       \
    }                                               \
  } while (false)
