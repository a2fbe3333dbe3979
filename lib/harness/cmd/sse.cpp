#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/cmd/commands.hpp"
#include "harness/cmd/errc_name.hpp"
#include "harness/cmd/json_writer.hpp"
#include "harness/cmd/options.hpp"
#include "harness/cmd/process_stats.hpp"
#include "harness/cmd/program.hpp"
#include "harness/cmd/sse_options.hpp"

namespace weir::harness::cmd {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

void add_error(JsonWriter& json, const std::optional<Error>& error) {
  const auto known = [](const std::string& text) {
    return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
  };
  if (!error) {
    for (const char* name : {"error", "detail", "status"}) json.field(name, nullptr);
    return;
  }
  const int status = error->status();
  json.field("error", errc_name(static_cast<errc>(error->code().value())));
  json.field("detail", known(error->detail()));
  json.field("status", status == 0 ? std::nullopt : std::optional<int>(status));
}

std::string event_line(const Event& event) {
  JsonWriter json;
  json.object();
  json.key("event");
  json.object();
  json.field("type", event.type);
  json.field("data", event.data);
  json.field("id", event.id);
  json.close();
  json.close();
  return json.take();
}

template <class T>
std::string line(std::string_view name, const T& value) {
  JsonWriter json;
  json.object();
  json.field(name, value);
  json.close();
  return json.take();
}

std::string lost_line(const Error& error) {
  JsonWriter json;
  json.object();
  json.field("state", "connecting");
  add_error(json, error);
  json.close();
  return json.take();
}

/// One EventSource, and the lines about it. The EventSource calls on the continuation thread, and
/// may do so while an event that was taken before is not printed yet: such lines wait for it.
class SseRun {
 public:
  SseRun(Client& client, const SseOptions& options, std::stop_token stop)
      : options_(options), stop_(std::move(stop)) {
    print(line("state", "connecting"));
    EventSourceOptions source = options.source();
    source.on_open = [this] { tell(line("state", "open")); };
    source.on_disconnect = [this](const Error& error) { tell(lost_line(error)); };
    if (options.comments) {
      source.on_comment = [this](std::string_view text) {
        ++comments_;
        tell(line("comment", text));
      };
    }
    const std::lock_guard lock(mutex_);  // so that who is told finds `source_`
    source_.emplace(client, options.url, std::move(source));
  }

  /// The exit code.
  int run(Client& client) {
    try {
      while (!failed_ && step()) {
      }
    } catch (const Error& error) {
      error_ = error;
    }
    const EventSourceStats stats = source_->stats();
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    source_.reset();  // nothing is told any more
    print(line("state", "closed"));
    print(summary(stats, client.stats().libcurl));
    return failed_ || error_ ? 1 : 0;
  }

 private:
  bool step() {
    EventResult result = wait();
    switch (result.status) {
      case ReadStatus::data: return take(result.event);
      case ReadStatus::end: return false;
      case ReadStatus::pending: tell(line("timeout", options_.read_timeout->count())); return true;
      case ReadStatus::stopped: break;
    }
    throw Error({.code = errc::aborted, .detail = "interrupted"});
  }

  EventResult wait() {
    const auto& timeout = options_.read_timeout;
    return source_->next_until(timeout ? Clock::now() + *timeout : Deadline::max(), stop_);
  }

  /// False: it was the last one.
  bool take(const Event& event) {
    {
      const std::lock_guard lock(mutex_);
      print(event_line(event));
      ++printed_;
      for (const std::string& later : later_) print(later);
      later_.clear();
    }
    if (options_.max_events == printed_) return false;
    if (options_.delay > milliseconds(0)) {
      std::unique_lock lock(delay_mutex_);
      delayed_.wait_for(lock, stop_, options_.delay, [] { return false; });
    }
    return true;
  }

  void tell(std::string text) {
    const std::lock_guard lock(mutex_);
    if (!closing_ && source_->stats().events > printed_) return later_.push_back(std::move(text));
    print(text);
    if (failed_ && !closing_) source_->close();
  }

  void print(const std::string& text) {
    if (!print_line("sse", text)) failed_ = true;
  }

  std::string summary(const EventSourceStats& stats, std::string_view libcurl) const {
    JsonWriter json;
    json.object();
    json.field("events", printed_);
    json.field("dropped", stats.dropped);
    json.field("comments", options_.comments ? std::optional(comments_.load()) : std::nullopt);
    json.field("reconnects", stats.reconnects);
    json.field("bytes", stats.bytes_received);
    json.field("pauses", stats.pauses);
    add_error(json, error_);
    json.field("libcurl", libcurl);
    json.close();
    return json.take();
  }

  const SseOptions& options_;
  const std::stop_token stop_;
  std::mutex mutex_;  // one line at a time
  bool closing_ = false;
  std::uint64_t printed_ = 0;
  std::vector<std::string> later_;  // behind the event that was taken
  std::atomic<std::uint64_t> comments_{0};
  std::atomic<bool> failed_{false};
  std::optional<Error> error_;
  std::mutex delay_mutex_;  // guards nothing: a condition variable needs one
  std::condition_variable_any delayed_;
  std::optional<EventSource> source_;
};

int sse(const SseOptions& options) {
  become_interruptible();
  std::stop_source stop;
  const Ticker ticker(milliseconds(20), [&stop] {
    if (interrupted()) stop.request_stop();
  });
  Client client(options.client());
  return SseRun(client, options, stop.get_token()).run(client);
}

}  // namespace

int sse(std::span<char* const> args) {
  try {
    const SseOptions options = sse_options(args);
    if (!options.help) return sse(options);
    std::fputs(sse_usage(), stdout);
    return 0;
  } catch (const UsageError& problem) {
    std::fprintf(stderr, "weir-harness sse: %s\n\n%s", problem.what(), sse_usage());
    return 2;
  } catch (const std::exception& problem) {  // an option that is refused, no thread for the client
    std::fprintf(stderr, "weir-harness sse: %s\n", problem.what());
    return 1;
  }
}

}  // namespace weir::harness::cmd
