#pragma once

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "raw_client.hpp"

namespace weir::harness::test {

struct FreeTls {
  void operator()(SSL* p) const { SSL_free(p); }
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(BIO* p) const { BIO_free(p); }
};

/// What a TlsClient asks of a server's name and offers it.
struct TlsWishes {
  const char* name = "localhost";
  bool name_is_ip = false;
  int version = TLS1_3_VERSION;
  std::string_view protocols = "\x02h2\x08http/1.1";  // ALPN's wire format
};

/// A client that trusts `ca_pem` and nothing else.
class TlsClient {
 public:
  TlsClient(std::uint16_t port, const std::string& ca_pem, const TlsWishes& wishes = {})
      : socket_(port, 32 * 1024), context_(SSL_CTX_new(TLS_client_method())) {
    const std::unique_ptr<BIO, FreeTls> memory(
        BIO_new_mem_buf(ca_pem.data(), static_cast<int>(ca_pem.size())));
    const std::unique_ptr<X509, FreeTls> ca(
        PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr));
    if (ca) X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), ca.get());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_max_proto_version(context_.get(), wishes.version);
    SSL_CTX_set_alpn_protos(context_.get(),
                            reinterpret_cast<const unsigned char*>(wishes.protocols.data()),
                            static_cast<unsigned>(wishes.protocols.size()));
    session_.reset(SSL_new(context_.get()));
    X509_VERIFY_PARAM* checks = SSL_get0_param(session_.get());
    if (wishes.name_is_ip)
      X509_VERIFY_PARAM_set1_ip_asc(checks, wishes.name);
    else
      X509_VERIFY_PARAM_set1_host(checks, wishes.name, 0);
    SSL_set_fd(session_.get(), socket_.fd());
    connected_ = SSL_connect(session_.get()) == 1;
  }

  bool connected() const { return connected_; }
  RawClient& socket() { return socket_; }
  SSL* session() { return session_.get(); }
  std::string protocol() {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(session_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  bool send(std::string_view text) {
    return SSL_write(session_.get(), text.data(), static_cast<int>(text.size())) > 0;
  }
  // One record at most; empty at the end.
  std::string receive() {
    std::string piece(64 * 1024, '\0');
    const int size = SSL_read(session_.get(), piece.data(), static_cast<int>(piece.size()));
    piece.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    error_ = SSL_get_error(session_.get(), size);
    return piece;
  }
  int error() const { return error_; }
  std::string rest() {
    std::string all;
    for (std::string piece = receive(); !piece.empty(); piece = receive()) all += piece;
    return all;
  }

 private:
  RawClient socket_;
  std::unique_ptr<SSL_CTX, FreeTls> context_;
  std::unique_ptr<SSL, FreeTls> session_;
  bool connected_ = false;
  int error_ = 0;
};

}  // namespace weir::harness::test
