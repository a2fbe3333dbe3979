// The same work through weir: the program's threads read, weir's own drives libcurl.

#include <atomic>
#include <cstddef>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/client.hpp"
#include "weir/weir.hpp"

namespace weir::bench {
namespace {

constexpr int kUnsupported = 3;

ClientOptions options_of(const Job& job) {
  ClientOptions options;
  options.tls.ca_file = job.ca_file;
  return options;
}

RequestInit init_of(const Job& job) {
  RequestInit init;
  init.version = job.http2 ? HttpVersion::http2 : HttpVersion::http1;
  init.decode = false;  // the other program asks for no codings either
  return init;
}

void check(const Job& job, const Response& response) {
  if (!response.ok()) throw std::runtime_error("status " + std::to_string(response.status));
  const bool http2 = response.version == HttpVersion::http2;
  if (http2 != job.http2) throw std::runtime_error("HTTP version");
}

std::uint64_t use(const Job& job, Response response) {
  check(job, response);
  const std::string text = response.text();
  touch(std::as_bytes(std::span(text)));
  return text.size();
}

std::uint64_t download(const Job& job, Client& client) {
  Response response = client.fetch(job.url, init_of(job));
  check(job, response);
  std::uint64_t bytes = 0;
  for (const Chunk& chunk : response.body.reader()) {
    touch(chunk.bytes());
    bytes += chunk.size();
  }
  return bytes;
}

/// `in_flight` threads, each one request at a time; the caller is the first.
std::uint64_t with_threads(const Job& job, Client& client) {
  std::atomic<std::uint64_t> started{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<bool> failed{false};
  const auto work = [&] {
    std::uint64_t mine = 0;
    while (started.fetch_add(1) < job.count) mine += use(job, client.fetch(job.url, init_of(job)));
    bytes += mine;
  };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < job.in_flight; ++i) {
    others.emplace_back([&] {
      try {
        work();
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        failed = true;
      }
    });
  }
  work();
  for (std::thread& other : others) other.join();
  if (failed) throw std::runtime_error("a thread failed");
  return bytes;
}

/// One thread: it always uses the oldest pending response, and starts another one in its place.
template <class AnyClient>
std::optional<std::uint64_t> with_pending(const Job& job, AnyClient& client) {
  if constexpr (requires { client.async_fetch(job.url, RequestInit{}).get(); }) {
    std::uint64_t bytes = 0;
    std::uint64_t started = 0;
    std::deque<decltype(client.async_fetch(job.url, RequestInit{}))> pending;
    for (std::uint64_t done = 0; done < job.count; ++done) {
      while (pending.size() < job.in_flight && started < job.count) {
        pending.push_back(client.async_fetch(job.url, init_of(job)));
        ++started;
      }
      bytes += use(job, pending.front().get());
      pending.pop_front();
    }
    return bytes;
  } else {
    return std::nullopt;
  }
}

int run(const Job& job) try {
  Client client(options_of(job));
  const Meter meter;
  std::optional<std::uint64_t> bytes;
  if (job.download) {
    bytes = download(job, client);
  } else if (job.async) {
    bytes = with_pending(job, client);
  } else {
    bytes = with_threads(job, client);
  }
  if (!bytes) {
    std::printf("{\"unsupported\":\"async_fetch\"}\n");
    return kUnsupported;
  }
  const ClientStats stats = client.stats();
  meter.print(*bytes, job.count, stats.wakeups,
              ",\"rings\":" + std::to_string(stats.credit_wakeups) +
                  ",\"pauses\":" + std::to_string(stats.pauses) +
                  ",\"peak_queue\":" + std::to_string(stats.peak_queue_memory));
  return 0;
} catch (const Error& error) {
  if (error.code() != errc::unsupported) throw;
  std::printf("{\"unsupported\":\"%s\"}\n", error.detail().c_str());
  return kUnsupported;
}

}  // namespace
}  // namespace weir::bench

int main(int count, char** words) { return weir::bench::main_of(count, words, &weir::bench::run); }
