#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "contract/transports.hpp"
#include "support/h2_peer.hpp"
#include "support/peer_stream.hpp"
#include "weir/weir.hpp"

// Servers that send what no server should, byte for byte or frame for frame, and a client. A test
// starts a request, plays the server itself, and looks at what came of it.

namespace weir::test {

using End = PeerStream::End;

/// What came of a request.
struct Got {
  std::optional<errc> error;
  std::string detail;
  std::string url;
  bool retryable = false;
  std::uint64_t bytes_received = 0;
  int status = 0;
  Headers headers;
  std::string body;  // in front of the end, or the failure
  Headers trailers;
};

inline void note(Got& got, const Error& error) {
  got.error = static_cast<errc>(error.code().value());
  got.detail = error.detail();
  got.url = error.url();
  got.retryable = error.retryable();
  got.bytes_received = error.bytes_received();
  if (got.status != 0) CHECK(error.status() == got.status);
  got.status = error.status();
}

/// Reads to the end; `got` has what came before.
inline Got& read_to_end(Response& response, Got& got) {
  got.status = response.status;
  got.headers = response.headers;
  Reader reader = response.body.reader();
  try {
    while (const auto chunk = reader.read()) got.body += chunk->text();
    got.trailers = reader.trailers();
  } catch (const Error& error) {
    note(got, error);
    CHECK(got.bytes_received == got.body.size());
    CHECK(code_of([&] { reader.read(); }) == got.error);
  }
  return got;
}

/// Waits for the response and all of its body.
inline Got finish(PendingResponse& pending) {
  Got got;
  try {
    Response response = pending.get();
    read_to_end(response, got);
  } catch (const Error& error) {
    note(got, error);
  }
  return got;
}

/// A port and a client for it, by HTTP/1.1.
template <bool kTls>
class RawServer {
 public:
  explicit RawServer(const ClientOptions& options = {})
      : tls_(kTls ? std::make_unique<harness::TlsContext>(false) : nullptr), options_(options) {
    if (kTls) options_.tls.ca_pem = tls_->ca_pem();
    renew();
  }

  Client& client() { return *client_; }
  /// Another client, without connections.
  void renew() { client_ = std::make_unique<Client>(options_); }
  std::string url(std::string_view path = "/") const {
    return listener_.url(path, kTls ? "https" : "http");
  }
  PendingResponse start(RequestInit init = {}) {
    return client().async_fetch(url(), std::move(init));
  }
  int listening() const noexcept { return listener_.fd(); }
  PeerStream accept() const { return {listener_.accept(), tls_.get()}; }
  /// What comes of `answer`, after which the connection ends.
  Got get(std::string_view answer, End end = End::fin, RequestInit init = {}) {
    PendingResponse pending = start(std::move(init));
    PeerStream peer = accept();
    peer.read_until("\r\n\r\n");
    peer.write(answer);
    peer.end(end);
    return finish(pending);
  }

 private:
  std::unique_ptr<harness::TlsContext> tls_;
  Listener listener_;
  ClientOptions options_;
  std::unique_ptr<Client> client_;
};
using PlainServer = RawServer<false>;
using TlsServer = RawServer<true>;

/// The same by HTTP/2, with TLS or by prior knowledge.
template <bool kTls>
class RawH2Server {
 public:
  explicit RawH2Server(ClientOptions options = {}) : listener_(kTls) {
    if (kTls) options.tls.ca_pem = listener_.ca_pem();
    options.version = kTls ? HttpVersion::http2 : HttpVersion::http2_prior_knowledge;
    client_ = std::make_unique<Client>(options);
  }

  Client& client() { return *client_; }
  std::string url() const { return listener_.url(); }
  PendingResponse start(RequestInit init = {}) {
    return client().async_fetch(url(), std::move(init));
  }
  H2Peer accept() { return listener_.accept(); }

 private:
  H2Listener listener_;
  std::unique_ptr<Client> client_;
};
using H2TlsServer = RawH2Server<true>;
using H2PlainServer = RawH2Server<false>;

}  // namespace weir::test

TYPE_TO_STRING(weir::test::PlainServer);
TYPE_TO_STRING(weir::test::TlsServer);
TYPE_TO_STRING(weir::test::H2TlsServer);
TYPE_TO_STRING(weir::test::H2PlainServer);
