#include "harness/http2_session.hpp"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <exception>
#include <new>

namespace weir::harness {
namespace {

constexpr std::uint32_t kMaxStreams = 1000;
constexpr std::size_t kMaxFrame = 64 * 1024;         // bytes of body in one frame
constexpr std::int32_t kConnectionWindow = 1 << 24;  // what may come in, all streams together
constexpr std::int32_t kWideWindow = 1 << 20;        // of a stream whose body is thrown away
constexpr std::size_t kMaxHead = 32 * 1024 * 1024;   // bytes of a response head
constexpr std::size_t kFrameHeader = 9;
constexpr std::uint64_t kNoLimit = 1'000'000'000;

std::span<const std::byte> bytes_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Runs an event: nothing may be thrown through nghttp2.
template <class Event>
int guarded(Event&& event) noexcept {
  try {
    return event();
  } catch (const std::exception&) {
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
}

Http2Events& events_of(void* user) { return *static_cast<Http2Events*>(user); }

bool is_request_head(const nghttp2_frame* frame) {
  return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

bool ends_stream(const nghttp2_frame* frame) {
  return (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
}

int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept {
  return guarded([&] {
    if (is_request_head(frame)) events_of(user).head_began(frame->hd.stream_id);
    return 0;
  });
}

int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
              std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
              std::uint8_t, void* user) noexcept {
  return guarded([&] {
    if (!is_request_head(frame)) return 0;  // trailers are of no interest
    events_of(user).field(frame->hd.stream_id, text_of(name, name_size),
                          text_of(value, value_size));
    return 0;
  });
}

int on_frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept {
  return guarded([&] {
    Http2Events& events = events_of(user);
    const std::int32_t stream = frame->hd.stream_id;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        if (is_request_head(frame)) {
          events.head_ended(stream, ends_stream(frame));
        } else if (ends_stream(frame)) {
          events.request_ended(stream);
        }
        break;
      case NGHTTP2_DATA:
        if (ends_stream(frame)) events.request_ended(stream);
        break;
      case NGHTTP2_RST_STREAM: events.peer_reset(stream); break;
      case NGHTTP2_GOAWAY:
        events.peer_goaway(static_cast<Http2Error>(frame->goaway.error_code));
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) events.pong();
        break;
      default: break;
    }
    return 0;
  });
}

int on_data_chunk_recv(nghttp2_session*, std::uint8_t, std::int32_t stream,
                       const std::uint8_t* data, std::size_t size, void* user) noexcept {
  return guarded([&] {
    events_of(user).body_came(stream, bytes_of(data, size));
    return 0;
  });
}

int on_stream_close(nghttp2_session*, std::int32_t stream, std::uint32_t, void* user) noexcept {
  return guarded([&] {
    events_of(user).closed(stream);
    return 0;
  });
}

int before_frame_send(nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept {
  return guarded([&] {
    if (frame->hd.type == NGHTTP2_HEADERS) events_of(user).head_comes(frame->hd.stream_id);
    return 0;
  });
}

int on_frame_send(nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept {
  return guarded([&] {
    if (frame->hd.type == NGHTTP2_HEADERS) {
      events_of(user).head_went(frame->hd.stream_id, ends_stream(frame));
    }
    return 0;
  });
}

// A head that nghttp2 will not pack leaves its stream without a response.
int on_frame_not_send(nghttp2_session* session, const nghttp2_frame* frame, int, void*) noexcept {
  if (frame->hd.type != NGHTTP2_HEADERS) return 0;
  nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                            NGHTTP2_INTERNAL_ERROR);
  return 0;
}

ssize_t read_length(nghttp2_session*, std::uint8_t, std::int32_t, std::int32_t connection_window,
                    std::int32_t stream_window, std::uint32_t max_frame, void*) noexcept {
  return std::min({static_cast<ssize_t>(connection_window), static_cast<ssize_t>(stream_window),
                   static_cast<ssize_t>(max_frame), static_cast<ssize_t>(kMaxFrame)});
}

ssize_t read_data(nghttp2_session*, std::int32_t stream, std::uint8_t*, std::size_t most,
                  std::uint32_t* flags, nghttp2_data_source*, void* user) noexcept {
  ssize_t size = 0;
  const int result = guarded([&] {
    const auto offer = events_of(user).next_data(stream, most);
    if (!offer) return static_cast<int>(NGHTTP2_ERR_DEFERRED);
    *flags = NGHTTP2_DATA_FLAG_NO_COPY;
    if (offer->last) *flags |= NGHTTP2_DATA_FLAG_EOF;
    size = static_cast<ssize_t>(offer->bytes);
    return 0;
  });
  return result == 0 ? size : result;
}

int send_data(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* header, std::size_t size,
              nghttp2_data_source*, void* user) noexcept {
  return guarded([&] {
    const bool taken = events_of(user).take_data(
        frame->hd.stream_id, bytes_of(header, kFrameHeader), size, ends_stream(frame));
    return taken ? 0 : static_cast<int>(NGHTTP2_ERR_WOULDBLOCK);
  });
}

struct Deleter {
  void operator()(nghttp2_session* object) const noexcept { nghttp2_session_del(object); }
  void operator()(nghttp2_option* object) const noexcept { nghttp2_option_del(object); }
  void operator()(nghttp2_session_callbacks* object) const noexcept {
    nghttp2_session_callbacks_del(object);
  }
};
using Session = std::unique_ptr<nghttp2_session, Deleter>;
using Options = std::unique_ptr<nghttp2_option, Deleter>;
using Callbacks = std::unique_ptr<nghttp2_session_callbacks, Deleter>;

// Clients under test may reset as often as they like. Where nghttp2 does not know the limit, it has
// none.
template <class Option>
void lift_reset_limit(Option* options) {
  if constexpr (requires { nghttp2_option_set_stream_reset_rate_limit(options, 1, 1); }) {
    nghttp2_option_set_stream_reset_rate_limit(options, kNoLimit, kNoLimit);
  }
}

Callbacks make_callbacks() {
  nghttp2_session_callbacks* made = nullptr;
  if (nghttp2_session_callbacks_new(&made) != 0) throw std::bad_alloc();
  Callbacks callbacks(made);
  nghttp2_session_callbacks_set_on_begin_headers_callback(made, &on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(made, &on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(made, &on_frame_recv);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, &on_data_chunk_recv);
  nghttp2_session_callbacks_set_on_stream_close_callback(made, &on_stream_close);
  nghttp2_session_callbacks_set_before_frame_send_callback(made, &before_frame_send);
  nghttp2_session_callbacks_set_on_frame_send_callback(made, &on_frame_send);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(made, &on_frame_not_send);
  nghttp2_session_callbacks_set_data_source_read_length_callback(made, &read_length);
  nghttp2_session_callbacks_set_send_data_callback(made, &send_data);
  return callbacks;
}

Options make_options() {
  nghttp2_option* made = nullptr;
  if (nghttp2_option_new(&made) != 0) throw std::bad_alloc();
  Options options(made);
  nghttp2_option_set_no_auto_window_update(made, 1);
  nghttp2_option_set_no_closed_streams(made, 1);
  nghttp2_option_set_max_send_header_block_length(made, kMaxHead);
  lift_reset_limit(made);
  return options;
}

// nghttp2 copies what it is given.
std::vector<nghttp2_nv> pairs_of(const Http2Session::Fields& fields) {
  const auto mutable_bytes = [](const std::string& text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
  };
  std::vector<nghttp2_nv> pairs;
  pairs.reserve(fields.size());
  for (const auto& [name, value] : fields) {
    pairs.push_back({mutable_bytes(name), mutable_bytes(value), name.size(), value.size(),
                     NGHTTP2_NV_FLAG_NONE});
  }
  return pairs;
}

}  // namespace

struct Http2Session::State {
  Session session;
  bool failed = false;
};

Http2Session::Http2Session(Http2Events& events) : state_(std::make_unique<State>()) {
  const Callbacks callbacks = make_callbacks();
  const Options options = make_options();
  nghttp2_session* made = nullptr;
  if (nghttp2_session_server_new2(&made, callbacks.get(), &events, options.get()) != 0) {
    throw std::bad_alloc();
  }
  state_->session.reset(made);
  const std::array settings = {
      nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kMaxStreams}};
  check(nghttp2_submit_settings(made, NGHTTP2_FLAG_NONE, settings.data(), settings.size()));
  check(nghttp2_session_set_local_window_size(made, NGHTTP2_FLAG_NONE, 0, kConnectionWindow));
}

Http2Session::~Http2Session() = default;

// Only memory can run out where our own calls fail; the connection is then over.
void Http2Session::check(int result) {
  if (nghttp2_is_fatal(result) != 0) state_->failed = true;
}

bool Http2Session::receive(std::span<const std::byte> bytes) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return nghttp2_session_mem_recv(state_->session.get(), data, bytes.size()) >= 0;
}

std::span<const std::byte> Http2Session::pull() {
  const std::uint8_t* data = nullptr;
  const ssize_t size = nghttp2_session_mem_send(state_->session.get(), &data);
  if (size < 0) state_->failed = true;
  return bytes_of(data, size > 0 ? static_cast<std::size_t>(size) : 0);
}

bool Http2Session::alive() const {
  nghttp2_session* session = state_->session.get();
  if (state_->failed) return false;
  return nghttp2_session_want_read(session) != 0 || nghttp2_session_want_write(session) != 0;
}

void Http2Session::interim(std::int32_t stream, const Fields& fields) {
  const std::vector<nghttp2_nv> pairs = pairs_of(fields);
  check(nghttp2_submit_headers(state_->session.get(), NGHTTP2_FLAG_NONE, stream, nullptr,
                               pairs.data(), pairs.size(), nullptr));
}

void Http2Session::respond(std::int32_t stream, const Fields& fields, bool with_body) {
  const std::vector<nghttp2_nv> pairs = pairs_of(fields);
  nghttp2_data_provider body{};
  body.read_callback = &read_data;
  check(nghttp2_submit_response(state_->session.get(), stream, pairs.data(), pairs.size(),
                                with_body ? &body : nullptr));
}

void Http2Session::resume(std::int32_t stream) {
  check(nghttp2_session_resume_data(state_->session.get(), stream));
}

void Http2Session::reset(std::int32_t stream, std::uint32_t code) {
  check(nghttp2_submit_rst_stream(state_->session.get(), NGHTTP2_FLAG_NONE, stream, code));
}

void Http2Session::goaway(std::int32_t last) {
  check(nghttp2_submit_goaway(state_->session.get(), NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR,
                              nullptr, 0));
}

void Http2Session::terminate(Http2Error why) {
  check(nghttp2_session_terminate_session(state_->session.get(), static_cast<std::uint32_t>(why)));
}

void Http2Session::ping() {
  check(nghttp2_submit_ping(state_->session.get(), NGHTTP2_FLAG_NONE, nullptr));
}

void Http2Session::consume_connection(std::size_t bytes) {
  check(nghttp2_session_consume_connection(state_->session.get(), bytes));
}

void Http2Session::consume_stream(std::int32_t stream, std::size_t bytes) {
  check(nghttp2_session_consume_stream(state_->session.get(), stream, bytes));
}

void Http2Session::widen(std::int32_t stream) {
  check(nghttp2_session_set_local_window_size(state_->session.get(), NGHTTP2_FLAG_NONE, stream,
                                              kWideWindow));
}

std::int32_t Http2Session::last_stream() const {
  return nghttp2_session_get_last_proc_stream_id(state_->session.get());
}

}  // namespace weir::harness
