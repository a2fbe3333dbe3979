#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/tls.hpp"
#include "support/listener.hpp"
#include "support/peer_stream.hpp"

namespace weir::test {

/// What RST_STREAM and GOAWAY give as a reason. Spec: RFC 9113 section 7.
enum class H2Error : std::uint32_t {
  none = 0,
  protocol = 1,
  internal = 2,
  refused_stream = 7,
  cancel = 8,
};

/// The server's end of one HTTP/2 connection, frame by frame: it says exactly what it is told to.
/// What comes from the client is read while something is waited for, and SETTINGS and PING
/// are answered then.
/// Throws std::runtime_error if the client says nothing for 10 s, or what makes no sense here.
/// Spec: RFC 9113 section 6; fields are sent as literals, RFC 7541 section 6.2.2.
class H2Peer {
 public:
  enum Type : std::uint8_t {
    kData = 0,
    kHeaders = 1,
    kRstStream = 3,
    kSettings = 4,
    kPing = 6,
    kGoaway = 7,
    kWindowUpdate = 8
  };
  struct Frame {
    std::uint8_t type = 0;
    std::uint8_t flags = 0;
    std::uint32_t stream = 0;
    std::string payload{};
  };
  using Fields = std::vector<std::pair<std::string, std::string>>;
  static constexpr std::uint8_t kEndStream = 1;
  static constexpr std::uint8_t kAck = 1;
  static constexpr std::uint8_t kEndHeaders = 4;

  /// `tls` may be null.
  H2Peer(Socket socket, harness::TlsContext* tls) : stream_(std::move(socket), tls) {}

  /// Waits for the next request's head; its stream.
  std::uint32_t request() { return wait(kHeaders).stream; }
  /// Waits for a frame of that type that answers nothing; those before it are dropped.
  Frame wait(std::uint8_t type) {
    for (;;) {
      Frame frame = next();
      if (frame.type == type && !is_answer(frame)) return frame;
    }
  }
  /// Waits for the answer to a PING.
  void wait_for_pong() {
    for (;;) {
      const Frame frame = next();
      if (frame.type == kPing && is_answer(frame)) return;
    }
  }
  /// Waits until the client closes.
  void wait_for_end() {
    try {
      for (;;) next();
    } catch (const std::runtime_error&) {
      if (!stream_.ended()) throw;
    }
  }

  /// False once the client has closed.
  bool send(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
    std::string frame = number(payload.size(), 3);
    frame.push_back(static_cast<char>(type));
    frame.push_back(static_cast<char>(flags));
    return write(frame.append(number(stream, 4)).append(payload));
  }
  void head(std::uint32_t stream, int status, const Fields& fields = {}, bool end = false) {
    std::string block = literal(":status", std::to_string(status));
    for (const auto& [name, value] : fields) block += literal(name, value);
    block_of_fields(stream, block, end);
  }
  /// Ends the body.
  void trailers(std::uint32_t stream, const Fields& fields) {
    std::string block;
    for (const auto& [name, value] : fields) block += literal(name, value);
    block_of_fields(stream, block, true);
  }
  void data(std::uint32_t stream, std::string_view bytes, bool end = false) {
    constexpr std::size_t kMost = 16'384;
    for (; bytes.size() > kMost; bytes.remove_prefix(kMost)) {
      send(kData, 0, stream, bytes.substr(0, kMost));
    }
    send(kData, end ? kEndStream : 0, stream, bytes);
  }
  void reset(std::uint32_t stream, H2Error why) {
    send(kRstStream, 0, stream, number(static_cast<std::uint32_t>(why), 4));
  }
  void goaway(std::uint32_t last, H2Error why = H2Error::none) {
    send(kGoaway, 0, 0, number(last, 4).append(number(static_cast<std::uint32_t>(why), 4)));
  }
  bool ping() { return send(kPing, 0, 0, "12345678"); }
  bool write(std::string_view bytes) { return stream_.write(bytes); }
  void close(PeerStream::End how = PeerStream::End::fin) { stream_.end(how); }

  static std::string number(std::uint64_t value, int bytes) {
    std::string text;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
      text.push_back(static_cast<char>(value >> shift & 0xff));
    }
    return text;
  }
  static std::string literal(std::string_view name, std::string_view value) {
    std::string text(1, '\0');
    return text.append(string(name)).append(string(value));
  }

 private:
  // RFC 7541 section 5.1: an integer with a prefix of 7 bits.
  static std::string string(std::string_view text) {
    std::string out;
    std::size_t rest = text.size();
    if (rest >= 127) {
      out.push_back('\x7f');
      for (rest -= 127; rest >= 128; rest /= 128)
        out.push_back(static_cast<char>(rest % 128 + 128));
    }
    out.push_back(static_cast<char>(rest));
    return out.append(text);
  }
  void block_of_fields(std::uint32_t stream, std::string_view block, bool end) {
    constexpr std::size_t kMost = 16'384;
    constexpr std::uint8_t kContinuation = 9;
    std::uint8_t type = kHeaders;
    auto first = static_cast<std::uint8_t>(end ? kEndStream : 0);
    for (; block.size() > kMost; block.remove_prefix(kMost)) {
      send(std::exchange(type, kContinuation), std::exchange(first, std::uint8_t{0}), stream,
           block.substr(0, kMost));
    }
    send(type, static_cast<std::uint8_t>(first | kEndHeaders), stream, block);
  }
  void begin() {
    const std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    if (stream_.read(preface.size()) != preface) throw std::runtime_error("no HTTP/2 preface");
    begun_ = true;
    send(kSettings, 0, 0, {});
  }
  Frame next() {
    if (!begun_) begin();
    const std::string header = stream_.read(9);
    const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(header[at]); };
    const std::size_t size = std::size_t{byte(0)} << 16 | std::size_t{byte(1)} << 8 | byte(2);
    Frame frame{.type = byte(3), .flags = byte(4)};
    for (std::size_t at = 5; at < 9; ++at) frame.stream = frame.stream << 8 | byte(at);
    frame.payload = stream_.read(size);
    const bool wants_answer = frame.type == kSettings || frame.type == kPing;
    if (wants_answer && !is_answer(frame)) {
      send(frame.type, kAck, 0, frame.type == kPing ? frame.payload : std::string_view{});
    }
    return frame;
  }
  static bool is_answer(const Frame& frame) noexcept {
    return (frame.type == kSettings || frame.type == kPing) && (frame.flags & kAck) != 0;
  }

  PeerStream stream_;
  bool begun_ = false;
};

/// A port where H2Peers are to be had, with TLS or by prior knowledge.
class H2Listener {
 public:
  explicit H2Listener(bool tls)
      : tls_(tls ? std::make_unique<harness::TlsContext>(true) : nullptr) {}
  std::string url(std::string_view path = "/") const {
    return listener_.url(path, tls_ ? "https" : "http");
  }
  const std::string& ca_pem() const noexcept { return tls_->ca_pem(); }
  /// Waits for a connection.
  H2Peer accept() { return {listener_.accept(), tls_.get()}; }

 private:
  std::unique_ptr<harness::TlsContext> tls_;
  Listener listener_;
};

}  // namespace weir::test
