#include "weir/harness/firehose.hpp"

#include <pthread.h>
#include <signal.h>

#include <string>
#include <thread>

#include "harness/server.hpp"
#include "harness/stats_board.hpp"

namespace weir::harness {
namespace {

// Threads inherit the mask: signals stay the program's business, not the server's.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

struct Firehose::Impl {
  explicit Impl(const FirehoseOptions& the_options) : options(the_options), server(options, stats) {
    const SignalsBlocked blocked;
    thread = std::thread([this] { server.run(); });
    pthread_setname_np(thread.native_handle(), "weir-firehose");
  }
  ~Impl() {
    server.stop();
    thread.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  FirehoseOptions options;
  StatsBoard stats;
  Server server;
  std::thread thread;
};

Firehose::Firehose(FirehoseOptions options) : impl_(std::make_unique<Impl>(options)) {}
Firehose::~Firehose() = default;

std::string Firehose::url(std::string_view path) const {
  std::string out = impl_->options.tls ? "https://" : "http://";
  out += impl_->options.ipv6 ? "[::1]:" : "127.0.0.1:";
  out += std::to_string(port());
  if (!path.empty() && path.front() != '/') out += '/';
  return out.append(path);
}

std::uint16_t Firehose::port() const noexcept { return impl_->server.port(); }
const std::string& Firehose::ca_pem() const noexcept { return impl_->server.ca_pem(); }
FirehoseStats Firehose::stats() const { return impl_->stats.snapshot(); }

bool Firehose::wait_until_blocked(BlockedWhen when, std::chrono::milliseconds timeout) const {
  return impl_->stats.wait_until_blocked(when, timeout);
}

bool Firehose::wait_for(const std::function<bool(const FirehoseStats&)>& condition,
                        std::chrono::milliseconds timeout) const {
  return impl_->stats.wait_for(condition, timeout);
}

}  // namespace weir::harness
