#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "interop/apache.hpp"
#include "interop/folder.hpp"
#include "support/child.hpp"
#include "support/listener.hpp"

namespace weir::test {

/// squid as a forward proxy on a free port: it caches nothing and lets everything of loopback
/// through.
class Squid {
 public:
  /// `password`: it wants one, whatever it is.
  explicit Squid(bool password = false) : port_(Listener().port()) {
    const auto path = folder_.path() / "squid.conf";
    std::ofstream(path) << configuration(password);
    child_.emplace(std::vector<std::string>{program(), "-N", "-f", path});
    wait_for_listener(port_, "squid");
  }

  /// Where it is not installed the tests say so, and ctest counts them as skipped.
  static bool installed() { return !program().empty(); }
  /// Its helper that takes any password.
  static bool has_passwords() { return ::access(kHelper, X_OK) == 0; }

  std::string url(const std::string& userinfo = "") const {
    return "http://" + userinfo + "127.0.0.1:" + std::to_string(port_);
  }

 private:
  static constexpr const char* kHelper = "/usr/lib/squid/basic_fake_auth";
  static std::string program() { return find_program("WEIR_SQUID", "squid"); }

  std::string configuration(bool password) const {
    std::ostringstream text;
    text << "http_port 127.0.0.1:" << port_
         << "\nvisible_hostname localhost\npid_filename none\naccess_log none\n"
            "cache_log /dev/null\nlogfile_rotate 0\ncache deny all\ncache_mem 0\n"
            "netdb_filename none\npinger_enable off\nshutdown_lifetime 0 seconds\n"
            "coredump_dir /tmp\nforwarded_for delete\n";
    if (password) {
      text << "auth_param basic program " << kHelper
           << "\nauth_param basic children 1\nacl known proxy_auth REQUIRED\n"
              "http_access deny !known\n";
    }
    text << "http_access allow localhost\nhttp_access deny all\n";
    return text.str();
  }

  TemporaryFolder folder_;
  std::uint16_t port_;
  std::optional<Child> child_;  // ends before the folder goes
};

}  // namespace weir::test

/// First in each test that needs squid.
#define WEIR_NEEDS_SQUID()                        \
  do {                                            \
    if (!weir::test::Squid::installed()) {        \
      MESSAGE("SKIPPED: squid is not installed"); \
      return;                                     \
    }                                             \
  } while (false)
