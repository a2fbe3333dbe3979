#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "backpressure/wire.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

namespace weir::test {

inline constexpr std::size_t kKiB = std::size_t{1} << 10;
inline constexpr std::size_t kMiB = std::size_t{1} << 20;
inline constexpr std::size_t kOneWrite = 16 * kKiB;  ///< the most that libcurl offers at once
/// The write that completes a known length is not refused, so it may come on top.
inline constexpr std::size_t kLastWrites = 2 * kOneWrite;
inline constexpr std::size_t kSlab = 64 * kKiB;
inline constexpr std::size_t kHighWater = 4 * kMiB;          ///< default of ClientOptions
inline constexpr std::size_t kUnreadHighWater = 256 * kKiB;  ///< likewise

/// What reading a body has brought, compared with the pattern of `seed`.
struct Tally {
  explicit Tally(std::uint64_t of_seed = 0) : seed(of_seed) {}

  void take(Bytes piece) {
    if (!wrong) wrong = harness::pattern::check(seed, bytes, piece);
    bytes += piece.size();
  }
  bool take(const std::optional<Chunk>& chunk) {
    if (chunk) take(chunk->bytes());
    return chunk.has_value();
  }
  /// Reads at least `count` bytes more, unless the body ends.
  Tally& read(Reader& reader, std::uint64_t count) {
    const std::uint64_t until = bytes + count;
    while (bytes < until && take(reader.read())) {
    }
    return *this;
  }
  /// Reads to the end, or to the failure.
  Tally& read(Reader& reader) {
    try {
      while (take(reader.read())) {
      }
    } catch (const Error& caught) {
      error = caught;
    }
    return *this;
  }
  /// All of a body of `size` bytes, and nothing wrong with it.
  bool is_whole(std::uint64_t size) const { return bytes == size && !wrong && !error; }
  bool failed_with(errc code) const { return error && error->code() == code; }

  std::uint64_t seed;
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> wrong{};  ///< offset of the first wrong byte
  std::optional<Error> error{};
};

inline doctest::String toString(const Tally& tally) {
  std::string text = std::to_string(tally.bytes) + " bytes";
  if (tally.wrong) text += ", wrong at " + std::to_string(*tally.wrong);
  if (tally.error) text += std::string(", then ") + tally.error->what();
  return text.c_str();
}

/// Each pause has ended, or is under way.
inline bool balanced(const ClientStats& stats) {
  return stats.pauses == stats.resumes + stats.cancelled_while_paused + stats.paused;
}

/// Waits until `count` bodies of `client` are paused and no byte has arrived for 100 ms. False:
/// that did not happen within a minute.
inline bool wait_until_paused(const Client& client, std::size_t count = 1) {
  std::uint64_t before = 0;
  for (int looks = 0; looks < 600; ++looks) {
    const ClientStats now = client.stats();
    if (now.paused == count && now.bytes_received == before) return true;
    before = now.bytes_received;
    let_pass(std::chrono::milliseconds(100));
  }
  return false;
}

/// How the bytes travel.
struct Protocol {
  const char* name;
  bool tls;
  HttpVersion version;

  bool http2() const noexcept { return version != HttpVersion::http1; }
  harness::FirehoseOptions server(int send_buffer = 0) const {
    return {.tls = tls, .send_buffer = send_buffer, .http2 = http2()};
  }
};

inline constexpr Protocol kProtocols[] = {{"h1", false, HttpVersion::http1},
                                          {"h1 + TLS", true, HttpVersion::http1},
                                          {"h2c", false, HttpVersion::http2_prior_knowledge},
                                          {"h2", true, HttpVersion::http2}};

inline std::string over(const Protocol& protocol) { return std::string(", ") + protocol.name; }

inline ClientOptions trusting(const harness::Firehose& server, const Protocol& protocol,
                              ClientOptions options = {}) {
  options.tls.ca_pem = server.ca_pem();
  options.version = protocol.version;
  return options;
}

/// Looks at a body from another thread, again and again, until it goes out of scope.
/// Lifetime: within the Reader's, which must not be moved meanwhile.
class QueueWatch {
 public:
  explicit QueueWatch(const Reader& reader)
      : thread_([this, &reader](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            const BodyStats now = reader.stats();
            peak_ = std::max(peak_.load(), now.queued);
            if (now.queued > now.peak_queued || now.drained > now.received) agrees_ = false;
            if (++looks_ == 1) looks_.notify_one();
            std::this_thread::yield();
          }
        }) {
    looks_.wait(0);
  }

  std::size_t peak() const { return peak_; }
  std::uint64_t looks() const { return looks_; }
  bool agrees() const { return agrees_; }  ///< with itself, at every look

 private:
  std::atomic<std::size_t> peak_{0};
  std::atomic<std::uint64_t> looks_{0};
  std::atomic<bool> agrees_{true};
  std::jthread thread_;
};

/// Bytes as people read them.
inline std::string mib(std::uint64_t bytes) {
  const auto hundredths = bytes * 100 / kMiB;
  const auto rest = std::to_string(hundredths % 100);
  return std::to_string(hundredths / 100) + (rest.size() < 2 ? ".0" : ".") + rest + " MiB";
}

}  // namespace weir::test
