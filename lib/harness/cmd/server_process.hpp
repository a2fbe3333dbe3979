#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace weir::harness::cmd {

/// `weir-harness serve` as a process of its own, so that its memory is not counted as ours. It ends
/// when this object or this process does.
/// Throws std::system_error, or std::runtime_error if the server does not start.
/// Thread-safety: one thread; the thread that makes it must live as long.
class ServerProcess {
 public:
  explicit ServerProcess(bool tls);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  std::string url(std::string_view path) const { return url_ + std::string(path); }
  const std::string& ca_pem() const noexcept { return ca_pem_; }  // empty without TLS

 private:
  pid_t pid_ = -1;
  std::string url_;
  std::string ca_pem_;
};

}  // namespace weir::harness::cmd
