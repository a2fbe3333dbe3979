#include "weir/harness/slow_reader.hpp"

#include <algorithm>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "weir/harness/firehose.hpp"

namespace weir::harness {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr milliseconds kStep{50};  // of pacing, and between calls of `watch`
constexpr std::uint64_t kStepsPerSecond = 20;
constexpr std::uint64_t kMaxStep = 256 * 1024;  // bytes
constexpr std::uint64_t kMaxChunk = 64 * 1024;  // bytes that Reader::read() returns at most
constexpr auto kUnlimited = std::numeric_limits<std::uint64_t>::max();

class SlowReader {
 public:
  SlowReader(Reader reader, const SlowReaderOptions& options)
      : options_(options),
        reader_(std::move(reader)),
        on_stop_(options.stop, Cancel{&reader_}),
        due_(Clock::now()) {
    if (options.sha256) digest_.emplace();
    if (options.rate > 0) {
      step_ = std::clamp<std::uint64_t>(options.rate / kStepsPerSecond, 1, kMaxStep);
    }
    if (options.read_size > 0) step_ = std::min<std::uint64_t>(step_, options.read_size);
  }

  SlowReaderReport run() {
    const auto start = Clock::now();
    while (step()) show(false);
    show(true);
    if (digest_) report_.sha256 = digest_->hex();
    report_.elapsed = Clock::now() - start;
    report_.body = reader_.stats();
    return std::move(report_);
  }

 private:
  struct Cancel {
    Reader* reader;
    void operator()() const noexcept { reader->cancel(); }
  };

  // False once there is nothing more to do.
  bool step() {
    if (stall_due_ && report_.bytes >= *options_.stall_after) stall();
    if (options_.cancel_after && report_.bytes >= *options_.cancel_after) {
      reader_.cancel();
      report_.cancelled = true;
      return false;
    }
    Chunk chunk;  // lives as long as `bytes` is used
    const Bytes bytes = read(chunk);
    if (bytes.empty()) return false;
    report_.bytes += bytes.size();
    if (digest_) digest_->update(bytes);
    if (options_.sink) options_.sink(bytes);
    pace(bytes.size());
    return true;
  }

  // Up to the next mark, so that stall and cancel come after exactly as many bytes as asked for.
  std::uint64_t limit() const {
    std::uint64_t most = step_;
    if (stall_due_) most = std::min(most, *options_.stall_after - report_.bytes);
    if (options_.cancel_after) most = std::min(most, *options_.cancel_after - report_.bytes);
    return most;
  }

  // Empty: the end, or a failure, which is in the report then.
  Bytes read(Chunk& chunk) {
    const std::uint64_t most = limit();
    try {
      if (step_ == kUnlimited && most >= kMaxChunk) {
        if (auto next = reader_.read()) chunk = std::move(*next);
        return chunk.bytes();
      }
      const auto size = static_cast<std::size_t>(step_ == kUnlimited ? most : step_);
      if (buffer_.size() < size) buffer_.resize(size);
      const std::span out = std::span(buffer_).first(static_cast<std::size_t>(most));
      return out.first(reader_.read_some(out));
    } catch (const Error& error) {
      report_.failure = error.failure();
      return {};
    }
  }

  void stall() {
    stall_due_ = false;
    const auto start = Clock::now();
    if (options_.on_stall) options_.on_stall();
    show(true);
    rest_until(start + options_.stall_for);
    report_.at_stall = reader_.stats();
    report_.stalled_for = Clock::now() - start;
    due_ = Clock::now();
  }

  // A reader that was held up may catch up one step, no more.
  void pace(std::size_t size) {
    if (options_.rate == 0) return;
    const std::uint64_t cost = std::uint64_t{size} * 1'000'000'000 / options_.rate;
    due_ = std::max(due_, Clock::now() - kStep) + nanoseconds(static_cast<std::int64_t>(cost));
    rest_until(due_);
  }

  void rest_until(Clock::time_point end) {
    std::unique_lock lock(mutex_);
    while (!options_.stop.stop_requested() && Clock::now() < end) {
      const auto wake = options_.watch ? std::min(end, Clock::now() + kStep) : end;
      resting_.wait_until(lock, options_.stop, wake, [] { return false; });
      show(false);
    }
  }

  void show(bool now) {
    if (!options_.watch) return;
    const auto time = Clock::now();
    if (!now && time - shown_ < kStep) return;
    shown_ = time;
    options_.watch(reader_.stats());
  }

  const SlowReaderOptions& options_;
  Reader reader_;
  std::stop_callback<Cancel> on_stop_;
  SlowReaderReport report_;
  std::optional<Sha256> digest_;
  std::vector<std::byte> buffer_;
  std::uint64_t step_ = kUnlimited;  // bytes in one read at most
  bool stall_due_ = options_.stall_after.has_value();
  Clock::time_point due_;  // when the rate allows the next read
  Clock::time_point shown_{};
  std::mutex mutex_;  // guards nothing: a condition variable needs one
  std::condition_variable_any resting_;
};

}  // namespace

SlowReaderReport slow_read(Client& client, Body body, const SlowReaderOptions& options) {
  SlowReaderReport report;
  std::optional<Reader> reader;
  try {
    reader.emplace(body.reader());
  } catch (const Error& error) {
    report.failure = error.failure();
  }
  if (reader) report = SlowReader(std::move(*reader), options).run();
  report.client = client.stats();
  return report;
}

}  // namespace weir::harness
