#include "contract/pattern_driver.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "weir/error.hpp"
#include "weir/harness/firehose.hpp"

namespace weir::test {

using detail::TimePoint;

namespace {

constexpr std::uint64_t kDiscard = std::uint64_t{64} << 10;  // bytes read to save a connection

/// The last segments of a URL's path, and its query.
struct Target {
  explicit Target(std::string_view url) {
    const auto mark = std::min(url.find('?'), url.size());
    const auto path = url.substr(0, mark);
    const auto first = path.find('/', path.find("//") + 2);
    const auto slash = path.find('/', first + 1);
    route = path.substr(first + 1, slash == path.npos ? slash : slash - first - 1);
    if (slash != path.npos) number = std::stoull(std::string(path.substr(slash + 1)));
    for (auto rest = url.substr(mark); rest.size() > 1;) {
      const auto end = std::min(rest.find('&', 1), rest.size());
      const auto equals = rest.find('=');
      query.emplace(rest.substr(1, equals - 1), rest.substr(equals + 1, end - equals - 1));
      rest.remove_prefix(end);
    }
  }
  std::optional<std::uint64_t> ask(const std::string& name) const {
    const auto found = query.find(name);
    if (found == query.end()) return std::nullopt;
    return std::stoull(found->second);
  }

  std::string route;
  std::uint64_t number = 0;
  std::map<std::string, std::string> query;
};

TimePoint after(TimePoint from, milliseconds timeout) {
  return timeout.count() == 0 ? TimePoint::max() : from + timeout;
}

}  // namespace

class PatternDriver::BellHub final : public flow::Hub {
 public:
  using Hub::Hub;
  void ring() noexcept override {
    const std::lock_guard lock(mutex_);
    rung_ = true;
    bell_.notify_one();
  }
  void wait_until(TimePoint limit) {
    std::unique_lock lock(mutex_);
    const auto rung = [this] { return rung_; };
    if (limit == TimePoint::max()) {
      bell_.wait(lock, rung);
    } else {
      bell_.wait_until(lock, limit, rung);
    }
    rung_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable bell_;
  bool rung_ = false;
};

class PatternDriver::Answer final : public flow::Producer {
 public:
  explicit Answer(std::shared_ptr<net::Exchange> exchange)
      : exchange_(std::move(exchange)), target_(exchange_->request.url) {
    const bool bytes = target_.route == "bytes";
    status_ = static_cast<int>(bytes ? target_.ask("status").value_or(200)
                                     : std::max<std::uint64_t>(target_.number, 200));
    if (target_.route == "echo") text_ = exchange_->request.body;
    if (target_.route == "status") text_ = std::to_string(status_) + "\n";
    size_ = bytes ? target_.number : text_.size();
    sized_ = !target_.ask("chunked") && !target_.ask("no_length");
    bodiless_ = exchange_->request.method == "HEAD" || status_ == 204 || status_ == 304;
    cut_ = target_.ask("cut_after");
    stall_ = target_.ask("stall_after");
    exchange_->attach(this);
  }
  ~Answer() { exchange_->attach(nullptr); }

  void resume_transfer() override { since_ = hub().clock.now(); }
  void cancel_transfer() override {
    over_ = true;
    clean_ = opened_ && sized_ && !stall_ && size_ - offset_ <= kDiscard;
  }
  void abort() {
    if (!over_) fail(errc::aborted, "the client was destroyed");
  }

  bool over() const noexcept { return over_; }
  bool clean() const noexcept { return clean_; }
  bool paused() const noexcept { return exchange_->paused(); }
  bool runnable() const noexcept {
    if (over_ || paused() || (target_.route == "hang" && !opened_)) return false;
    return !stall_ || offset_ < *stall_ || !opened_;
  }
  void step() {
    if (!runnable()) return;
    since_ = hub().clock.now();
    if (target_.route == "close") return fail(errc::connection_lost, "closed by the server");
    if (!opened_) return open();
    const std::uint64_t limit =
        std::min({bodiless_ ? 0 : size_, cut_.value_or(size_), stall_.value_or(size_)});
    if (offset_ < limit) return offer(std::min<std::uint64_t>(limit - offset_, buffer_.size()));
    if (cut_ && *cut_ < size_) return fail(errc::truncated, "closed by the server");
    exchange_->end();
    over_ = true;
    clean_ = !target_.ask("no_length");
  }

  TimePoint deadline() const {
    if (over_) return TimePoint::max();
    const net::Request& request = exchange_->request;
    const milliseconds silent = opened_ ? request.idle_timeout : request.headers_timeout;
    return std::min(after(started_, request.total_timeout),
                    after(since_, paused() ? request.consumer_timeout : silent));
  }
  void expire(TimePoint now) {
    if (deadline() > now) return;
    if (after(started_, exchange_->request.total_timeout) <= now) {
      fail(errc::timed_out, "total_timeout");
    } else if (paused()) {
      fail(errc::consumer_stalled, "consumer_timeout");
    } else {
      fail(errc::timed_out, opened_ ? "idle_timeout" : "headers_timeout");
    }
  }

 private:
  flow::Hub& hub() const noexcept { return *exchange_->hub(); }

  void open() {
    opened_ = true;
    net::Head& head = exchange_->head;
    head.status = status_;
    head.url = exchange_->request.url;
    if (sized_ && status_ != 204) head.headers.append("Content-Length", std::to_string(size_));
    if (target_.query.contains("content_type")) {
      head.headers.append("Content-Type", target_.query.at("content_type"));
    }
    if (sized_) head.length = bodiless_ ? 0 : size_;
    exchange_->open();
  }
  void offer(std::uint64_t count) {
    const auto out = std::span(buffer_).first(static_cast<std::size_t>(count));
    if (text_.empty()) {
      harness::pattern::fill(target_.ask("seed").value_or(0), offset_, out);
    } else {
      const auto from = std::as_bytes(std::span(text_)).subspan(offset_, out.size());
      std::copy(from.begin(), from.end(), out.begin());
    }
    const bool completes = sized_ && offset_ + count == size_;
    if (exchange_->offer(out, completes) == flow::Channel::Offer::accepted) offset_ += count;
  }
  void fail(errc code, const char* why) {
    Failure failure;
    failure.code = code;
    failure.detail = why;
    failure.url = exchange_->request.url;
    failure.bytes_received = offset_;
    failure.status = opened_ ? status_ : 0;
    exchange_->fail(std::move(failure));
    over_ = true;
  }

  const std::shared_ptr<net::Exchange> exchange_;
  const Target target_;
  const TimePoint started_ = hub().clock.now();
  TimePoint since_ = started_;
  int status_ = 0;
  std::string text_;  // the body, where it is not the pattern
  std::uint64_t size_ = 0;
  bool sized_ = true;  // the head says the length
  bool bodiless_ = false;
  std::optional<std::uint64_t> cut_, stall_;
  std::uint64_t offset_ = 0;
  bool opened_ = false;
  bool over_ = false;
  bool clean_ = false;  // over, and the connection can be used again
  std::array<std::byte, std::size_t{16} << 10> buffer_;
};

PatternDriver::PatternDriver(std::size_t memory_budget)
    : bell_hub_(std::make_shared<BellHub>(memory_budget, detail::Clock::steady())),
      hub_(bell_hub_),
      thread_([this] { run(); }) {}

PatternDriver::~PatternDriver() { stop(); }

void PatternDriver::start(std::shared_ptr<net::Exchange> exchange) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      inbox_.push_back(std::move(exchange));
      bell_hub_->ring();
      return;
    }
  }
  const std::lock_guard joined(stop_mutex_);
  hub_->io.acquire();
  Answer(exchange).abort();
  hub_->flush();
  hub_->io.release();
}

void PatternDriver::stop() noexcept {
  const std::lock_guard one_at_a_time(stop_mutex_);
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  bell_hub_->ring();
  thread_.join();
}

ClientStats PatternDriver::stats() const {
  const flow::HubStats flow = hub_->stats();
  const std::lock_guard lock(mutex_);
  ClientStats stats;
  stats.requests = published_.requests;
  stats.active = published_.active;
  stats.connections_opened = published_.connections_opened;
  stats.connections_open = published_.active + published_.idle;
  stats.bytes_received = flow.bytes_received;
  stats.pauses = flow.pauses;
  stats.resumes = flow.resumes;
  stats.cancelled_while_paused = flow.cancelled_while_paused;
  stats.paused = flow.paused;
  stats.queue_memory = flow.queue_memory;
  stats.peak_queue_memory = flow.peak_queue_memory;
  stats.credit_wakeups = flow.rings;
  return stats;
}

void PatternDriver::wait_for(const std::function<bool(const Figures&)>& condition) const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return condition(published_); });
}

void PatternDriver::settle() const {
  for (int turns = 0; turns < 2; ++turns) {  // the first may have begun before
    std::uint64_t before = 0;
    wait_for([&](const Figures& now) {
      before = now.turns;
      return true;
    });
    bell_hub_->ring();
    wait_for([&](const Figures& now) { return now.turns > before; });
  }
}

void PatternDriver::run() {
  hub_->io.acquire();
  while (turn()) {
  }
  for (const auto& answer : answers_) answer->abort();
  now_.active = now_.blocked = now_.idle = 0;
  publish();
  hub_->flush();
  answers_.clear();
  hub_->close();
  hub_->io.release();
}

bool PatternDriver::turn() {
  hub_->io.assert_here();
  const auto runnable = [](const auto& answer) { return answer->runnable(); };
  const bool busy = std::any_of(answers_.begin(), answers_.end(), runnable);
  bell_hub_->wait_until(busy ? hub_->clock.now() : next_deadline());
  std::vector<std::shared_ptr<net::Exchange>> batch;
  bool stopping = false;
  {
    const std::lock_guard lock(mutex_);
    batch.swap(inbox_);
    stopping = stopping_;
  }
  for (auto& exchange : batch) begin(std::move(exchange));
  if (stopping) return false;
  hub_->process();
  for (const auto& answer : answers_) answer->step();
  const TimePoint now = hub_->clock.now();
  for (const auto& answer : answers_) answer->expire(now);
  for (const auto& answer : answers_) now_.idle += answer->over() && answer->clean();
  std::erase_if(answers_, [](const auto& answer) { return answer->over(); });
  publish();
  hub_->flush();
  return true;
}

void PatternDriver::begin(std::shared_ptr<net::Exchange> exchange) {
  ++now_.requests;
  if (now_.idle > 0) {
    --now_.idle;
  } else {
    ++now_.connections_opened;
  }
  answers_.push_back(std::make_unique<Answer>(std::move(exchange)));
}

void PatternDriver::publish() {
  ++now_.turns;
  now_.active = answers_.size();
  now_.blocked = static_cast<std::uint64_t>(std::count_if(
      answers_.begin(), answers_.end(), [](const auto& answer) { return answer->paused(); }));
  const std::lock_guard lock(mutex_);
  published_ = now_;
  changed_.notify_all();
}

TimePoint PatternDriver::next_deadline() const {
  TimePoint next = TimePoint::max();
  for (const auto& answer : answers_) next = std::min(next, answer->deadline());
  return next;
}

}  // namespace weir::test
