#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/coroutine.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::uint64_t kSize = 3'000'000;

struct Outcome {
  std::uint64_t bytes = 0;
  bool wrong = false;
  bool ended = false;
  bool gone = false;  // it was cancelled or dropped
  std::optional<errc> error{};

  /// Whole, or as much as was wanted.
  bool ok() const { return !wrong && !error && (gone || (ended && bytes == kSize)); }
};

/// Reads a branch in all forms, until the end or until it has had enough.
class Consumer {
 public:
  Consumer(Reader reader, unsigned seed) : reader_(std::move(reader)), random_(seed) {
    const bool patient = random_() % 2 == 0;
    enough_ = patient ? kSize + 1 : random_() % kSize;
    cancels_ = random_() % 2 == 0;
  }

  Outcome run() {
    try {
      while (!outcome_.ended && outcome_.bytes < enough_) step();
      outcome_.gone = !outcome_.ended;
      if (outcome_.gone && cancels_) reader_->cancel();
      reader_.reset();
    } catch (const Error& error) {
      outcome_.error = static_cast<errc>(error.code().value());
    }
    return outcome_;
  }

 private:
  void step() {
    switch (random_() % 5) {
      case 0: return take(reader_->try_read());
      case 1: {
        const auto soon = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
        return take(reader_->read_until(soon));
      }
      case 2: {
        std::stop_source stop;
        std::jthread stopper;
        if (random_() % 4 == 0) stopper = std::jthread([&stop] { stop.request_stop(); });
        return take(reader_->read_until(Deadline::max(), stop.get_token()));
      }
      case 3: {
        std::vector<std::byte> out(1 + random_() % 1000);
        const std::size_t count = reader_->read_some(out);
        return take(Bytes(out).first(count));
      }
      default: {
        const auto chunk = reader_->read();
        return take(chunk ? chunk->bytes() : Bytes());
      }
    }
  }
  void take(const ReadResult& result) {
    if (result) take(result.chunk.bytes());
    outcome_.ended = result.status == ReadStatus::end;
  }
  void take(Bytes bytes) {
    outcome_.ended = bytes.empty();
    if (harness::pattern::check(5, outcome_.bytes, bytes)) outcome_.wrong = true;
    outcome_.bytes += bytes.size();
  }

  std::optional<Reader> reader_;
  std::minstd_rand random_;
  std::uint64_t enough_ = 0;
  bool cancels_ = false;
  Outcome outcome_;
};

/// Reads a branch by co_await; drops it once it has had enough.
Coroutine<Outcome> consume(Reader reader, std::uint64_t enough) {
  Outcome outcome;
  try {
    while (outcome.bytes < enough) {
      const auto chunk = co_await reader.async_read();
      outcome.ended = !chunk;
      if (!chunk) break;
      if (harness::pattern::check(5, outcome.bytes, chunk->bytes())) outcome.wrong = true;
      outcome.bytes += chunk->size();
    }
    outcome.gone = !outcome.ended;
  } catch (const Error& error) {
    outcome.error = static_cast<errc>(error.code().value());
  }
  co_return outcome;
}

}  // namespace

TEST_SUITE_BEGIN("stress");

TEST_CASE("Two branches of a tee are read, cancelled and dropped at random") {
  const int rounds = sized(20, 150, 3000);
  const unsigned first_seed = std::random_device()();
  harness::Firehose server;
  Client client;
  for (int round = 0; round < rounds; ++round) {
    const unsigned seed = first_seed + static_cast<unsigned>(round);
    CAPTURE(seed);
    std::minstd_rand random(seed);
    const std::string query = random() % 2 == 0 ? "?seed=5" : "?seed=5&encode=gzip";
    const std::size_t lag = random() % 3 == 0 ? random() % 1000 : random() % 500'000;
    Response response = client.fetch(server.url("/bytes/" + std::to_string(kSize) + query));
    auto [one, other] = std::move(response.body).tee(lag);
    auto first = std::async(std::launch::async, [&body = one, seed] {
      return Consumer(body.reader(), seed + 1).run();
    });
    Outcome second;
    if (random() % 3 == 0) {
      const std::uint64_t enough = random() % 2 == 0 ? kSize + 1 : random() % kSize;
      auto coroutine = consume(other.reader(), enough);
      second = coroutine.get();
    } else {
      second = Consumer(other.reader(), seed + 2).run();
    }
    CHECK(second.ok());
    CHECK(first.get().ok());
  }
  const ClientStats stats = client.stats();
  CHECK(stats.pauses == stats.resumes + stats.cancelled_while_paused + stats.paused);
  MESSAGE(rounds, " rounds, first seed ", first_seed);
}

TEST_SUITE_END();
