#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/stream.hpp"
#include "weir/body.hpp"
#include "weir/chunk.hpp"
#include "weir/error.hpp"
#include "weir/reader.hpp"

namespace weir::test {

/// What a ScriptedStream was asked for. Read it when the reading thread has ended.
struct StreamLog {
  std::vector<std::size_t> asked;  // the `max` of each pull
  int cancels = 0;
  bool destroyed = false;
};

/// A Stream that brings given pieces, and after them the end, a failure, or nothing at all.
class ScriptedStream final : public detail::ReadyStream {
 public:
  enum class Then { end, fail, hang };

  ScriptedStream(std::vector<std::string> pieces, Then then = Then::end)
      : pieces_(pieces.begin(), pieces.end()), then_(then) {}
  ~ScriptedStream() override { log->destroyed = true; }

  ReadResult pull(std::size_t max, const flow::Wait& wait) override {
    std::unique_lock lock(mutex_);
    log->asked.push_back(max);
    if (pieces_.empty() && then_ == Then::hang && wait.block) {
      waiting_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return cancelled_; });
    }
    if (cancelled_) throw Error({.code = errc::aborted});
    if (pieces_.empty()) return after();
    std::string& piece = pieces_.front();
    const Chunk chunk = Chunk::copy_of(std::string_view(piece).substr(0, max));
    piece.erase(0, chunk.size());
    if (piece.empty()) pieces_.pop_front();
    stats_.received = stats_.drained += chunk.size();
    return {.status = ReadStatus::data, .chunk = chunk};
  }

  void cancel() noexcept override {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    ++log->cancels;
    changed_.notify_all();
  }
  BodyStats stats() const noexcept override {
    const std::lock_guard lock(mutex_);
    return stats_;
  }
  std::optional<std::uint64_t> length() const noexcept override { return claimed; }
  Headers trailers() const override { return trailer; }

  /// Returns once a reader waits.
  void wait_until_waiting() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_; });
  }

  std::optional<std::uint64_t> claimed;  // length()
  Headers trailer;
  const std::shared_ptr<StreamLog> log = std::make_shared<StreamLog>();

 private:
  ReadResult after() const {
    if (then_ == Then::fail) throw Error({.code = errc::truncated, .detail = "3 of 9 bytes"});
    return {.status = then_ == Then::end ? ReadStatus::end : ReadStatus::pending};
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> pieces_;
  const Then then_;
  BodyStats stats_;
  bool cancelled_ = false;
  bool waiting_ = false;
};

/// A body made of a ScriptedStream that stays in sight.
struct ScriptedBody {
  explicit ScriptedBody(std::vector<std::string> pieces,
                        ScriptedStream::Then then = ScriptedStream::Then::end)
      : owned(std::make_unique<ScriptedStream>(std::move(pieces), then)), stream(owned.get()) {}
  Body body() { return Body(std::move(owned)); }
  Reader reader() { return Reader(std::move(owned)); }

  std::unique_ptr<ScriptedStream> owned;
  ScriptedStream* stream;
  std::shared_ptr<StreamLog> log = stream->log;
};

/// The code of the Error that `call` throws; nullopt if it throws none.
template <class Call>
std::optional<errc> code_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return static_cast<errc>(error.code().value());
  }
  return std::nullopt;
}

inline std::string as_string(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace weir::test
