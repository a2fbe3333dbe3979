#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raw_client.hpp"
#include "tls_client.hpp"
#include "weir/harness/firehose.hpp"

namespace weir::harness::test {

/// How an H2Client behaves.
struct H2Manners {
  std::uint32_t window = 65535;  // of each stream, bytes
  std::int32_t connection_window = 65535;
  std::uint32_t max_frame = 16384;
  bool opens_windows = true;  // as it reads; false: only by `allow`
  bool answers_pings = true;
  int receive_buffer = 0;  // plain TCP only
};

/// A response as it came, frame by frame.
struct H2Response {
  int status = 0;
  std::vector<int> interim{};
  std::map<std::string, std::string> fields{};
  std::string body{};
  std::vector<std::size_t> frames{};  // bytes of each DATA frame
  bool ended = false;                 // by END_STREAM
  bool closed = false;
  std::uint32_t error = 0;  // of RST_STREAM or of a GOAWAY that left it out
};

struct H2Goaway {
  std::int32_t last_stream = 0;
  std::uint32_t error = 0;
};

/// An HTTP/2 client on a socket of its own that does what it is told, no more. Says nothing before
/// the first request or other call that sends. Reads only inside `run_until`. Every read fails
/// after 20 s.
/// Thread-safety: one thread.
class H2Client {
 public:
  explicit H2Client(const Firehose& server, const H2Manners& manners = {})
      : H2Client(server.port(), server.ca_pem(), manners) {}
  /// `ca_pem`: empty for plain TCP.
  H2Client(std::uint16_t port, const std::string& ca_pem, const H2Manners& manners = {}) {
    if (ca_pem.empty()) {
      plain_ = std::make_unique<RawClient>(port, manners.receive_buffer);
    } else {
      tls_ = std::make_unique<TlsClient>(port, ca_pem);
      if (tls_->protocol() != "h2") throw std::runtime_error("ALPN did not choose h2");
    }
    start_session(manners);
  }
  ~H2Client() { nghttp2_session_del(session_); }
  H2Client(const H2Client&) = delete;
  H2Client& operator=(const H2Client&) = delete;

  /// Sends a request without body, or with all of it if `body` is given. The stream's id.
  std::int32_t request(std::string_view path, std::string_view method = "GET",
                       std::optional<std::string> body = {},
                       const std::vector<std::pair<std::string, std::string>>& more = {}) {
    std::vector<std::pair<std::string, std::string>> fields = {{":method", std::string(method)},
                                                               {":scheme", "http"},
                                                               {":authority", "h"},
                                                               {":path", std::string(path)}};
    fields.insert(fields.end(), more.begin(), more.end());
    std::vector<nghttp2_nv> pairs;
    for (auto& [name, value] : fields) {
      pairs.push_back({reinterpret_cast<std::uint8_t*>(name.data()),
                       reinterpret_cast<std::uint8_t*>(value.data()), name.size(), value.size(),
                       NGHTTP2_NV_FLAG_NONE});
    }
    nghttp2_data_provider provider{};
    provider.read_callback = &read_body;
    const std::int32_t id = nghttp2_submit_request(session_, nullptr, pairs.data(), pairs.size(),
                                                   body ? &provider : nullptr, nullptr);
    if (id < 0) throw std::runtime_error("nghttp2_submit_request");
    if (body) uploads_[id] = std::move(*body);
    responses_[id];
    flush();
    return id;
  }
  /// The response as far as it has come.
  const H2Response& of(std::int32_t id) { return responses_[id]; }
  /// Waits for its end, whatever that is.
  const H2Response& response(std::int32_t id) {
    run_until([&] { return responses_[id].closed; });
    return responses_[id];
  }
  const H2Response& fetch(std::string_view path) { return response(request(path)); }

  /// Reads until `condition` holds; false if the connection ends first.
  bool run_until(const std::function<bool()>& condition) {
    while (!condition()) {
      if (!receive_once()) return condition();
    }
    return true;
  }
  /// Waits for the answer to a PING: what the server had framed before has come then.
  bool round_trip() {
    const std::size_t before = pongs_;
    nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
    flush();
    return run_until([&] { return pongs_ > before; });
  }
  /// Opens a window by so much: a stream's, or with 0 the connection's.
  void allow(std::int32_t stream, std::int32_t bytes) {
    nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, stream, bytes);
    flush();
  }
  void reset(std::int32_t stream, std::uint32_t error = NGHTTP2_CANCEL) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, error);
    flush();
  }
  void goaway(std::uint32_t error) {
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, 0, error, nullptr, 0);
    flush();
  }
  /// Bytes as they are, between frames.
  bool send_raw(std::string_view bytes) { return tls_ ? tls_->send(bytes) : plain_->send(bytes); }

  std::size_t left_to_send(std::int32_t id) { return uploads_[id].size(); }
  const std::vector<H2Goaway>& goaways() const { return goaways_; }
  std::size_t pings() const { return pings_; }
  bool ended() const { return ended_; }  // the connection
  /// How it ended: 0 by FIN, else errno (plain TCP only).
  int error() const { return send_error_ != 0 ? send_error_ : plain_->error(); }
  RawClient& socket() { return tls_ ? tls_->socket() : *plain_; }

 private:
  static H2Client& self(void* user) { return *static_cast<H2Client*>(user); }

  void start_session(const H2Manners& manners) {
    nghttp2_session_callbacks* calls = nullptr;
    nghttp2_option* option = nullptr;
    nghttp2_session_callbacks_new(&calls);
    nghttp2_option_new(&option);
    nghttp2_session_callbacks_set_on_header_callback(calls, &on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, &on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, &on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, &on_close);
    nghttp2_option_set_no_auto_window_update(option, manners.opens_windows ? 0 : 1);
    nghttp2_option_set_no_auto_ping_ack(option, manners.answers_pings ? 0 : 1);
    nghttp2_option_set_max_send_header_block_length(option, 1 << 20);
    nghttp2_session_client_new2(&session_, calls, this, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(calls);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, manners.window},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, manners.max_frame},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                          manners.connection_window);
  }

  // All that waits in one send(), so that a request comes with the preface before it.
  bool flush() {
    std::string all;
    const std::uint8_t* data = nullptr;
    for (ssize_t size; (size = nghttp2_session_mem_send(session_, &data)) > 0;) {
      all.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
    }
    if (all.empty() || send_raw(all)) return true;
    if (send_error_ == 0) send_error_ = errno;  // the next read would show none
    return false;
  }
  bool receive_once() {
    const std::string piece = tls_ ? tls_->receive() : plain_->receive();
    ended_ = ended_ || piece.empty();
    if (ended_) return false;
    const auto* data = reinterpret_cast<const std::uint8_t*>(piece.data());
    if (nghttp2_session_mem_recv(session_, data, piece.size()) < 0) return false;
    flush();
    return true;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                       std::uint8_t, void* user) {
    H2Response& response = self(user).responses_[frame->hd.stream_id];
    const std::string text(reinterpret_cast<const char*>(value), value_size);
    const std::string key(reinterpret_cast<const char*>(name), name_size);
    if (key != ":status") {
      response.fields[key] = text;
    } else if (text.front() == '1') {
      response.interim.push_back(std::stoi(text));
    } else {
      response.status = std::stoi(text);
    }
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    H2Client& client = self(user);
    const bool flagged = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;  // or END_STREAM, the same bit
    switch (frame->hd.type) {
      case NGHTTP2_DATA:
        client.responses_[frame->hd.stream_id].frames.push_back(frame->hd.length);
        [[fallthrough]];
      case NGHTTP2_HEADERS:
        if (flagged) client.responses_[frame->hd.stream_id].ended = true;
        break;
      case NGHTTP2_GOAWAY:
        client.goaways_.push_back({frame->goaway.last_stream_id, frame->goaway.error_code});
        break;
      case NGHTTP2_PING: ++(flagged ? client.pongs_ : client.pings_); break;
      default: break;
    }
    return 0;
  }
  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                     std::size_t size, void* user) {
    self(user).responses_[id].body.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }
  static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t error, void* user) {
    self(user).responses_[id].closed = true;
    self(user).responses_[id].error = error;
    return 0;
  }
  static ssize_t read_body(nghttp2_session*, std::int32_t id, std::uint8_t* out, std::size_t most,
                           std::uint32_t* flags, nghttp2_data_source*, void* user) {
    std::string& left = self(user).uploads_[id];
    const std::size_t size = left.copy(reinterpret_cast<char*>(out), most);
    left.erase(0, size);
    if (left.empty()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }

  std::unique_ptr<RawClient> plain_;
  std::unique_ptr<TlsClient> tls_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, H2Response> responses_;
  std::map<std::int32_t, std::string> uploads_;
  std::vector<H2Goaway> goaways_;
  std::size_t pings_ = 0;
  std::size_t pongs_ = 0;
  int send_error_ = 0;
  bool ended_ = false;
};

}  // namespace weir::harness::test
