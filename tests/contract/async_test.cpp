#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "contract/transports.hpp"
#include "support/coroutine.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::uint64_t kSize = std::uint64_t{8} << 20;

/// The name of the thread that asks, "test" for the one that the test runs on.
std::string where(std::thread::id test) {
  return std::this_thread::get_id() == test ? "test" : thread_name();
}

struct Whole {
  int status = 0;
  std::uint64_t bytes = 0;  // in front of the end or the failure
  std::string digest{};     // SHA-256 of them
  std::optional<errc> error{};
  std::set<std::string> threads{};  // on which it went on; "test" where it did not suspend
};

// Both are called on the test's thread.

/// Reads until `most` bytes have come, or to the end.
Coroutine<Whole> read_on(Reader& reader, std::uint64_t most = UINT64_MAX) {
  const auto test = std::this_thread::get_id();
  Whole whole;
  harness::Sha256 digest;
  try {
    while (whole.bytes < most) {
      const auto chunk = co_await reader.async_read();
      whole.threads.insert(where(test));
      if (!chunk) break;
      digest.update(chunk->bytes());
      whole.bytes += chunk->size();
    }
  } catch (const Error& error) {
    whole.error = static_cast<errc>(error.code().value());
  }
  whole.digest = digest.hex();
  co_return whole;
}

Coroutine<Whole> fetch_whole(Client& client, std::string url, RequestInit init = {}) {
  const auto test = std::this_thread::get_id();
  Whole whole;
  auto pending = client.async_fetch(url, std::move(init));
  try {
    Response response = co_await pending;
    whole.status = response.status;
    Reader reader = response.body.reader();
    harness::Sha256 digest;
    try {
      while (const auto chunk = co_await reader.async_read()) {
        whole.threads.insert(where(test));
        digest.update(chunk->bytes());
        whole.bytes += chunk->size();
      }
    } catch (const Error& error) {
      whole.error = static_cast<errc>(error.code().value());
    }
    whole.digest = digest.hex();
  } catch (const Error& error) {
    whole.error = static_cast<errc>(error.code().value());
  }
  co_return whole;
}

Coroutine<int> status_of(Client& client, std::string url) {
  const Response response = co_await client.async_fetch(url);
  co_return response.status;
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("async_read: brings 8 MiB whole, on the continuation thread", T,
                     WEIR_TRANSPORTS) {
    T transport;
    auto coroutine =
        fetch_whole(transport.client(), transport.url("/bytes/8388608?seed=7"), {.method = "GET"});
    const Whole whole = coroutine.get();
    CHECK(whole.status == 200);
    CHECK(whole.bytes == kSize);
    CHECK_FALSE(whole.error);
    CHECK(whole.digest == harness::pattern::sha256(7, 0, kSize));
    for (const auto& name : whole.threads) CHECK((name == "weir-resume" || name == "test"));
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("async_read: of many at the same time, each gets its own bytes", T,
                     WEIR_TRANSPORTS) {
    constexpr std::uint64_t kEach = 300'000;
    const std::uint64_t many = sized(8u, 32u, 64u);
    T transport({.high_water = 65'536});
    std::vector<Coroutine<Whole>> coroutines;
    for (std::uint64_t seed = 0; seed < many; ++seed) {
      coroutines.push_back(fetch_whole(
          transport.client(), transport.url("/bytes/300000?seed=" + std::to_string(seed)), {}));
    }
    for (std::uint64_t seed = 0; seed < many; ++seed) {
      const Whole whole = coroutines[seed].get();
      CHECK(whole.bytes == kEach);
      CHECK(whole.digest == harness::pattern::sha256(seed, 0, kEach));
    }
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("async_read: one that stops stops the server, and then gets every byte", T,
                     WEIR_TRANSPORTS) {
    constexpr std::uint64_t kLarge = 24'000'000;
    T transport({.high_water = 262'144});
    auto pending = transport.client().async_fetch(transport.url("/bytes/24000000?seed=3"));
    Response response = pending.get();
    Reader reader = response.body.reader();
    const Whole first = read_on(reader, 1).get();
    REQUIRE(transport.wait_until_blocked());
    const BodyStats stalled = reader.stats();
    CHECK(stalled.paused);
    CHECK(stalled.queued <= 262'144 + 16'384);
    Seen seen{.bytes = first.bytes, .wrong = {}, .error = {}};
    if (first.digest != harness::pattern::sha256(3, 0, first.bytes)) seen.wrong = 0;
    CHECK(read_on(reader, 3, seen) == kLarge);
    const BodyStats done = reader.stats();
    CHECK(done.pauses >= 1);
    CHECK(done.pauses == done.resumes);
  }

  TEST_CASE_TEMPLATE("async_read: the bytes that precede a failure come first", T,
                     WEIR_TRANSPORTS) {
    T transport;
    for (const std::uint64_t cut : {0U, 1U, 50'000U, 2'000'000U}) {
      CAPTURE(cut);
      auto coroutine =
          fetch_whole(transport.client(),
                      transport.url("/bytes/5000000?seed=5&cut_after=" + std::to_string(cut)), {});
      const Whole whole = coroutine.get();
      CHECK(whole.bytes == cut);
      CHECK(whole.digest == harness::pattern::sha256(5, 0, cut));
      CHECK(whole.error == errc::truncated);
    }
  }

  TEST_CASE_TEMPLATE("async_fetch: a timeout, a stop and a drop end one that is under way", T,
                     WEIR_TRANSPORTS) {
    T transport;
    std::stop_source stop;
    auto late = fetch_whole(transport.client(), transport.url("/hang"),
                            {.headers_timeout = milliseconds(50)});
    CHECK(late.get().error == errc::timed_out);
    auto stopped =
        fetch_whole(transport.client(), transport.url("/hang"), {.stop = stop.get_token()});
    auto dropped = fetch_whole(transport.client(), transport.url("/hang"), {});
    REQUIRE(transport.wait_for_requests(3));
    stop.request_stop();
    CHECK(stopped.get().error == errc::aborted);
    // Nothing will come for it, so nobody resumes it now.
    CHECK_FALSE(dropped.done());
    dropped.drop();
    CHECK(eventually([&] { return transport.client().stats().active == 0; }));
  }

  TEST_CASE_TEMPLATE("async_read_until: what is late loses nothing", T, WEIR_TRANSPORTS) {
    T transport;
    Response response =
        transport.client().fetch(transport.url("/bytes/100000?seed=2&stall_after=50000"));
    Reader reader = response.body.reader();
    struct Patient {
      static Coroutine<Seen> read(Reader& reader, int patience) {
        Seen seen;
        while (patience > 0) {
          const ReadResult result =
              co_await reader.async_read_until(std::chrono::steady_clock::now() + milliseconds(20));
          if (result.status == ReadStatus::pending) --patience;
          if (!seen.wrong) {
            seen.wrong = harness::pattern::check(2, seen.bytes, result.chunk.bytes());
          }
          seen.bytes += result.chunk.size();
          if (seen.bytes < 50'000) patience = 3;  // the machine may be slow
        }
        co_return seen;
      }
    };
    auto patient = Patient::read(reader, 3);
    CHECK(patient.get() == 50'000);
    CHECK(reader.stats().pauses == 0);
  }

  TEST_CASE_TEMPLATE("Client: resume_on gets the coroutines, never on the I/O thread", T,
                     WEIR_TRANSPORTS) {
    Executor executor;
    T transport({.resume_on = executor.resume_on()});
    auto coroutine = fetch_whole(transport.client(), transport.url("/bytes/1000000?seed=1"), {});
    const Whole whole = executor.run(coroutine);
    CHECK(whole.digest == harness::pattern::sha256(1, 0, 1'000'000));
    CHECK(whole.threads == std::set<std::string>{"test"});
    auto late = fetch_whole(transport.client(), transport.url("/hang"),
                            {.headers_timeout = milliseconds(10)});
    CHECK_FALSE(late.done());
    CHECK(executor.run(late).error == errc::timed_out);
    CHECK(executor.posted_from() == std::set<std::string>{"weir-resume"});
  }

  TEST_CASE_TEMPLATE("Client: its end aborts what is suspended, wherever it happens", T,
                     WEIR_TRANSPORTS) {
    struct Ending {
      static Coroutine<std::string> run(T& transport, std::stop_token stop) {
        auto pending = transport.client().async_fetch(transport.url("/hang"), {.stop = stop});
        try {
          co_await pending;
        } catch (const Error&) {
          transport.destroy_client();
        }
        co_return thread_name();
      }
    };
    for (const bool by_coroutine : {false, true}) {
      CAPTURE(by_coroutine);
      T transport;
      Response response = transport.client().fetch(transport.url("/bytes/100000?stall_after=10"));
      Reader reader = response.body.reader();
      auto body = read_on(reader);
      auto head = fetch_whole(transport.client(), transport.url("/hang"), {});
      if (by_coroutine) {
        std::stop_source stop;
        auto ending = Ending::run(transport, stop.get_token());
        stop.request_stop();
        CHECK(ending.get() == "weir-resume");
      } else {
        transport.destroy_client();
        CHECK(body.done());
        CHECK(head.done());
      }
      const Whole read = body.get();
      CHECK(read.bytes <= 10);
      CHECK(read.error == errc::aborted);
      CHECK(head.get().error == errc::aborted);
    }
  }

  TEST_CASE_TEMPLATE("async_fetch: of a URL alone is awaited as it comes", T, WEIR_TRANSPORTS) {
    T transport;
    auto coroutine = status_of(transport.client(), transport.url("/status/404"));
    CHECK(coroutine.get() == 404);
  }
}
