#pragma once

#include <memory>
#include <string>

#include "harness/socket.hpp"

namespace weir::harness {

/// The server's side of TLS 1.2 and 1.3, with a certification authority that lives and dies with
/// it. Throws std::runtime_error where OpenSSL refuses.
/// Thread-safety: `accept` on one thread at a time.
class TlsContext {
 public:
  /// `http2`: offers it by ALPN, before HTTP/1.1.
  explicit TlsContext(bool http2);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  const std::string& ca_pem() const noexcept { return ca_pem_; }
  /// A stream on an accepted socket; null if there is no memory for it. The handshake happens as
  /// it is read.
  /// Lifetime: within this object's; does not own `fd`.
  std::unique_ptr<Stream> accept(int fd);

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::string ca_pem_;
};

}  // namespace weir::harness
