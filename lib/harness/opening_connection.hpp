#pragma once

#include <memory>
#include <string>

#include "harness/connection.hpp"
#include "harness/socket.hpp"

namespace weir::harness {

/// A connection that may speak HTTP/2 or HTTP/1.1: becomes the one that ALPN chose or, on plain
/// TCP, HTTP/2 if it begins as a client's preface does.
/// Spec: RFC 9113 sections 3.2 to 3.4.
class OpeningConnection final : public Connection {
 public:
  OpeningConnection(Fd fd, std::unique_ptr<Stream> stream, ConnectionContext& context)
      : fd_(std::move(fd)), stream_(std::move(stream)), context_(context) {}
  Wish drive(std::uint32_t events, Clock::time_point now) override;

 private:
  Fd fd_;
  std::unique_ptr<Stream> stream_;  // before fd_ closes
  ConnectionContext& context_;
  std::string ahead_;
  std::unique_ptr<Connection> became_;
};

}  // namespace weir::harness
