#include "harness/cmd/read_run.hpp"

#include <algorithm>
#include <exception>
#include <latch>
#include <memory>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "base/url_text.hpp"
#include "harness/cmd/errc_name.hpp"
#include "harness/cmd/out_file.hpp"

namespace weir::harness::cmd {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_of(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

void set_failure(StreamResult& result, const Failure& failure) {
  result.error = errc_name(failure.code);
  result.detail = failure.detail;
  if (failure.status != 0) result.status = failure.status;
}

void set_failure(StreamResult& result, std::string_view error, const char* detail) {
  result.error = error;
  result.detail = detail;
}

}  // namespace

/// Tells once that a stream stalls, or will not any more.
class ReadRun::Arrival {
 public:
  explicit Arrival(std::latch* latch) noexcept : latch_(latch) {}
  Arrival(Arrival&& other) noexcept : latch_(std::exchange(other.latch_, nullptr)) {}
  Arrival& operator=(Arrival&&) = delete;
  ~Arrival() { arrive(); }
  void arrive() {
    if (latch_ != nullptr) std::exchange(latch_, nullptr)->count_down();
  }

 private:
  std::latch* latch_;
};

struct ReadRun::Group {
  GroupResult& result;
  SlowReaderOptions pace;
  std::size_t first_slot;
  std::latch* stalled;  // null: nobody waits
  bool watched;
  Clock::time_point began{};
  std::vector<std::jthread> threads{};

  void finish() {
    threads.clear();  // joins
    auto ended = began;
    for (const StreamResult& stream : result.streams) ended = std::max(ended, stream.ended);
    result.seconds = seconds_of(ended - began);
  }
};

ReadRun::ReadRun(Client& client, const ReadOptions& options, std::stop_token stop)
    : client_(client),
      options_(options),
      stop_(std::move(stop)),
      slots_(options.streams + options.active) {
  streams_.streams.resize(options.streams);
  active_.streams.resize(options.active);
}

void ReadRun::run(bool watched) {
  std::latch stalled(static_cast<std::ptrdiff_t>(options_.streams));
  Group slow{streams_, options_.pace, 0, &stalled, watched};
  Group quick{active_, {}, options_.streams, nullptr, watched};
  quick.pace.sha256 = options_.pace.sha256;
  start(slow);
  stalled.wait();
  start(quick);
  quick.finish();
  slow.finish();
}

void ReadRun::start(Group& group) {
  group.began = Clock::now();
  group.threads.reserve(group.result.streams.size());
  for (std::size_t i = 0; i < group.result.streams.size(); ++i) {
    StreamResult& result = group.result.streams[i];
    Slot* const slot = group.watched ? &slots_[group.first_slot + i] : nullptr;
    Arrival arrival(group.stalled);
    try {
      group.threads.emplace_back(
          [this, &result, pace = pace(group.pace, slot), arrival = std::move(arrival)]() mutable {
            read_one(result, std::move(pace), std::move(arrival));
          });
    } catch (const std::system_error& error) {  // no thread: the lambda has arrived by now
      set_failure(result, errc_name(errc::resource_exhausted), error.what());
    }
  }
}

SlowReaderOptions ReadRun::pace(const SlowReaderOptions& base, Slot* slot) const {
  SlowReaderOptions pace = base;
  pace.stop = stop_;
  if (slot == nullptr) return pace;
  pace.watch = [slot](const BodyStats& stats) {
    slot->read.store(stats.drained, std::memory_order_relaxed);
    slot->queued.store(stats.queued, std::memory_order_relaxed);
    slot->paused.store(stats.paused, std::memory_order_relaxed);
    slot->begun.store(true, std::memory_order_relaxed);
  };
  return pace;
}

void ReadRun::read_one(StreamResult& result, SlowReaderOptions pace,
                       Arrival arrival) const noexcept {
  const auto start = Clock::now();
  try {
    result.url = detail::without_credentials(options_.url);
    transfer(result, pace, arrival);
  } catch (const Error& error) {
    set_failure(result, error.failure());
  } catch (const std::system_error& error) {
    set_failure(result, "write_failed", error.what());
  } catch (const std::exception& error) {  // no memory, no SHA-256
    set_failure(result, errc_name(errc::resource_exhausted), error.what());
  }
  result.ended = Clock::now();
  result.seconds = seconds_of(result.ended - start);
}

void ReadRun::transfer(StreamResult& result, SlowReaderOptions& pace, Arrival& arrival) const {
  std::unique_ptr<OutFile> out;
  if (!options_.out.empty()) {
    out = std::make_unique<OutFile>(options_.out);
    pace.sink = [&out, &result](Bytes bytes) {
      out->write(bytes);
      result.report.bytes += bytes.size();  // all that is known if a later write fails
    };
  }
  pace.on_stall = [&arrival] { arrival.arrive(); };
  Response response = client_.fetch(options_.url, options_.request(stop_));
  result.status = response.status;
  result.version = response.version;
  result.url = std::move(response.url);
  if (!pace.stall_after) arrival.arrive();
  result.report = slow_read(client_, std::move(response.body), pace);
  if (out) out->close();
  if (result.report.failure) {
    set_failure(result, *result.report.failure);
  } else if (result.report.cancelled) {
    result.detail = "cancelled after " + std::to_string(result.report.bytes) + " bytes, as asked";
  }
}

LiveView ReadRun::live() const noexcept {
  LiveView view;
  for (const Slot& slot : slots_) {
    view.read += slot.read.load(std::memory_order_relaxed);
    view.queued += slot.queued.load(std::memory_order_relaxed);
    view.paused += slot.paused.load(std::memory_order_relaxed) ? 1 : 0;
    view.readers += slot.begun.load(std::memory_order_relaxed) ? 1 : 0;
  }
  return view;
}

}  // namespace weir::harness::cmd
