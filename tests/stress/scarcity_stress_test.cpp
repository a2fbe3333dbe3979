#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "no_threads.hpp"
#include "resources.hpp"
#include "slow_lookup.hpp"
#include "subprocess.hpp"
#include "support/listener.hpp"
#include "weir/weir.hpp"

using namespace std::chrono_literals;
using namespace weir::test;
using weir::Client;
using weir::ClientOptions;
using weir::errc;
using weir::HttpVersion;
using weir::PendingResponse;
using weir::RequestInit;

namespace {

/// As long as one lives, this process gets at most `more` descriptors.
class FewFds {
 public:
  explicit FewFds(std::size_t more) {
    // The limit is on numbers, not on how many there are: the gaps below must be filled first.
    ::getrlimit(RLIMIT_NOFILE, &before_);
    std::vector<int> own;
    for (std::size_t i = 0; i < more; ++i) own.push_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::close(next);
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(next);
    for (const int fd : own) {
      if (fd >= next) limit.rlim_cur = static_cast<rlim_t>(fd) + 1;
    }
    ::setrlimit(RLIMIT_NOFILE, &limit);
    for (const int fd : own) ::close(fd);
  }
  ~FewFds() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  FewFds(const FewFds&) = delete;
  FewFds& operator=(const FewFds&) = delete;

 private:
  rlimit before_{};
};

RequestInit bounded(HttpVersion version = HttpVersion::automatic) {
  return {.total_timeout = 60s, .version = version};
}

std::optional<errc> code_of(PendingResponse& pending) {
  try {
    pending.get().bytes();
  } catch (const weir::Error& error) {
    return static_cast<errc>(error.code().value());
  }
  return std::nullopt;
}

std::optional<errc> code_of_new_client() {
  try {
    Client client;
  } catch (const weir::Error& error) {
    return static_cast<errc>(error.code().value());
  }
  return std::nullopt;
}

/// Servers of every protocol, and a name for the first.
struct Servers {
  std::vector<PendingResponse> fetch_all(Client& client) const {
    std::vector<PendingResponse> all;
    for (int i = 0; i < 3; ++i) {
      all.push_back(client.async_fetch(plain.url("/bytes/1000"), bounded()));
      all.push_back(client.async_fetch(tls.url("/bytes/1000"), bounded()));
      all.push_back(client.async_fetch(http2.url("/bytes/1000"), bounded(HttpVersion::http2)));
      const std::string url = plain.url("/bytes/1000");
      all.push_back(client.async_fetch(
          std::string("http://") + kTwoAddresses + url.substr(url.rfind(':')), bounded()));
    }
    return all;
  }
  ClientOptions options() const {
    ClientOptions made;
    made.tls.ca_pem = tls.ca() + http2.ca();
    return made;
  }

  ServerProcess plain;
  ServerProcess tls{true};
  ServerProcess http2{true, true};
};

}  // namespace

TEST_SUITE_BEGIN("stress");

TEST_CASE("Scarcity: without descriptors a request is resource_exhausted; with some all go on") {
  const Servers servers;
  {
    Client warm(servers.options());
    for (auto& pending : servers.fetch_all(warm)) CHECK_FALSE(code_of(pending));
  }
  const Resources before;
  for (std::size_t more = 0; more <= 12; ++more) {
    CAPTURE(more);
    Client client(servers.options());
    {
      const FewFds few(more);
      if (more == 0) CHECK(code_of_new_client() == errc::resource_exhausted);
      std::size_t failed = 0;
      for (auto& pending : servers.fetch_all(client)) {
        const auto code = code_of(pending);
        if (code) {
          CHECK(*code == errc::resource_exhausted);
          ++failed;
        }
      }
      if (more == 0) CHECK(failed == 12);
    }
    for (auto& pending : servers.fetch_all(client)) CHECK_FALSE(code_of(pending));
    CHECK(is_clean(client));
  }
  CHECK(back_to(before));
}

TEST_CASE(
    "Scarcity: without threads lookups and clients are resource_exhausted; the rest goes on") {
  const Servers servers;
  Client client(servers.options());
  const std::string url = servers.plain.url("/bytes/1000");
  const std::string named = std::string("http://") + kTwoAddresses + url.substr(url.rfind(':'));
  {
    const NoThreads none;
    CHECK(code_of_new_client() == errc::resource_exhausted);
    std::vector<PendingResponse> all;
    for (int i = 0; i < 5; ++i) all.push_back(client.async_fetch(named, bounded()));
    for (auto& pending : all) CHECK(code_of(pending) == errc::resource_exhausted);
    CHECK(client.fetch(url, bounded()).bytes().size() == 1000);
  }
  CHECK(client.fetch(named, bounded()).bytes().size() == 1000);
  CHECK(is_clean(client));
}

TEST_CASE("Client: destroyed with everything in flight, it ends at once, and everybody is told") {
  const Servers servers;
  const SilentPort silent;
  const Listener mute;
  const std::string host = "http://in-flight" + std::string(kSlowZone);
  const std::string large(3'000'000, 'x');
  struct Phase {
    const char* name;
    std::string url;
    const std::string* body = nullptr;
    HttpVersion version = HttpVersion::automatic;
  };
  const std::vector<Phase> phases = {
      {"resolving, and behind that", host},
      {"connecting", silent.url()},
      {"in a handshake", mute.url("/", "https")},
      {"waiting for headers", servers.plain.url("/hang")},
      {"the same over TLS", servers.tls.url("/hang")},
      {"the same over HTTP/2", servers.http2.url("/hang"), nullptr, HttpVersion::http2},
      {"with dripping headers", servers.tls.url("/drip_headers?ms=1000")},
      {"in a slow body", servers.plain.url("/bytes/100000000000?rate=100000")},
      {"in a slow body over HTTP/2", servers.http2.url("/bytes/100000000000?rate=100000"), nullptr,
       HttpVersion::http2},
      {"paused", servers.plain.url("/bytes/100000000000")},
      {"paused over TLS", servers.tls.url("/bytes/100000000000")},
      {"paused over HTTP/2", servers.http2.url("/bytes/100000000000"), nullptr, HttpVersion::http2},
      {"uploading", servers.plain.url("/echo?rate=1000"), &large},
      {"uploading over TLS", servers.tls.url("/echo?rate=1000"), &large},
      {"uploading to nobody", mute.url(), &large},
      {"redirecting", servers.plain.url("/redirect/100000000")},
      {"redirecting over HTTP/2", servers.http2.url("/redirect/100000000"), nullptr,
       HttpVersion::http2},
  };
  const Resources before;
  const SlowLookups slow;  // nobody waits for those
  for (int round = 0; round < 3; ++round) {
    std::optional<Client> client(servers.options());
    std::atomic<bool> gone{false};
    std::vector<std::future<std::string>> waiters;
    for (const Phase& phase : phases) {
      for (int i = 0; i < 2; ++i) {
        RequestInit init{.max_redirects = 100'000'000, .version = phase.version};
        if (phase.body != nullptr) init.body = *phase.body;
        waiters.push_back(std::async(
            std::launch::async,
            [&gone, name = phase.name, reads = i == 0](PendingResponse pending) {
              try {
                weir::Response response = pending.get();
                weir::Reader reader = response.body.reader();
                if (!reads) eventually([&] { return gone.load(); }, 60s);  // paused, perhaps
                while (reader.read()) {
                }
                return std::string(name) + ": ended";
              } catch (const weir::Error& error) {
                if (error.code() == errc::aborted) return std::string();
                return std::string(name) + ": " + error.what();
              }
            },
            client->async_fetch(phase.url, std::move(init))));
      }
    }
    REQUIRE(eventually([&] { return client->stats().requests == waiters.size(); }));
    if (round > 0) REQUIRE(eventually([&] { return client->stats().redirects > 10; }));
    if (round > 0) REQUIRE(eventually([&] { return client->stats().paused > 0; }));
    client.reset();
    gone.store(true);
    for (auto& waiter : waiters) CHECK(waiter.get() == "");
  }
  CHECK(eventually([&] { return open_fds() <= before.fds + 2 * SlowLookups::under_way(); }));
}

TEST_SUITE_END();
