#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/certificates.hpp"
#include "support/listener.hpp"

namespace weir::test {

/// How a TlsPeer behaves.
struct TlsManners {
  const Certificate* between = nullptr;    ///< sent after its own certificate
  const Certificate* client_ca = nullptr;  ///< clients must show a certificate of this authority's
  int max_version = TLS1_3_VERSION;
};

/// A server with the certificate that it is given. It takes one connection after the other, answers
/// each request with "secure", and closes.
/// Thread-safety: one thread, beside its own.
class TlsPeer {
 public:
  explicit TlsPeer(const Certificate& own, const TlsManners& manners = {})
      : context_(SSL_CTX_new(TLS_server_method())) {
    SSL_CTX_use_certificate(context_.get(), own.x509());
    SSL_CTX_use_PrivateKey(context_.get(), own.key());
    if (manners.between != nullptr)
      SSL_CTX_add1_chain_cert(context_.get(), manners.between->x509());
    SSL_CTX_set_max_proto_version(context_.get(), manners.max_version);
    if (manners.client_ca != nullptr) {
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), manners.client_ca->x509());
      SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                         nullptr);
    }
    thread_ = std::thread([this] { serve(); });
  }
  ~TlsPeer() {
    stopped_ = true;
    const Socket last = listener_.connect();
    thread_.join();
  }
  TlsPeer(const TlsPeer&) = delete;
  TlsPeer& operator=(const TlsPeer&) = delete;

  std::uint16_t port() const noexcept { return listener_.port(); }
  std::string url(std::string_view path = "/") const { return listener_.url(path, "https"); }
  std::string localhost_url() const { return "https://localhost:" + std::to_string(port()) + "/"; }
  /// The heads of the requests so far.
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void serve() {
    sigset_t pipe;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);  // OpenSSL's sockets write()
    while (!stopped_) {
      try {
        const Socket socket = listener_.accept();
        if (!stopped_) answer(socket);
      } catch (const std::system_error&) {
        continue;  // nobody came for a while
      }
    }
  }

  void answer(const Socket& socket) {
    const std::unique_ptr<SSL, OpenSslDeleter<&SSL_free>> session(SSL_new(context_.get()));
    SSL_set_fd(session.get(), socket.fd());
    std::array<char, 4096> piece;
    std::string head;
    while (head.find("\r\n\r\n") == head.npos) {
      ERR_clear_error();
      if (!SSL_is_init_finished(session.get()) && SSL_accept(session.get()) != 1) break;
      const int count = SSL_read(session.get(), piece.data(), static_cast<int>(piece.size()));
      if (count <= 0) break;
      head.append(piece.data(), static_cast<std::size_t>(count));
    }
    if (!head.empty()) {
      constexpr std::string_view kAnswer =
          "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecure";
      const std::lock_guard lock(mutex_);
      requests_.push_back(head);
      SSL_write(session.get(), kAnswer.data(), static_cast<int>(kAnswer.size()));
      SSL_shutdown(session.get());
    }
    // What is unread would turn the end into a reset, and the alert before it be lost.
    ::shutdown(socket.fd(), SHUT_WR);
    while (socket.read(piece.data(), piece.size()) > 0) continue;
  }

  Listener listener_;
  const std::unique_ptr<SSL_CTX, OpenSslDeleter<&SSL_CTX_free>> context_;
  std::atomic<bool> stopped_{false};
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace weir::test
