#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "contract/transports.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

namespace {

/// Where a transfer is when it is cancelled.
struct Phase {
  const char* name;
  const char* path;
  bool blocked;      // wait until the reader holds it up
  std::size_t read;  // bytes read before
};
constexpr Phase kPhases[] = {
    {"at once", "/bytes/100000000", false, 0},
    {"unread, paused", "/bytes/100000000", true, 0},
    {"half read, flowing", "/bytes/100000000", false, 2'000'000},
    {"half read, paused", "/bytes/100000000", true, 2'000'000},
    {"the server stalls", "/bytes/1000000?stall_after=2000", false, 2'000},
};

/// A Reader, brought to its phase.
template <class T>
Reader reader_at(T& transport, const Phase& phase, std::stop_token stop = {}) {
  Response response =
      transport.client().fetch(transport.url(phase.path), {.stop = std::move(stop)});
  Reader reader = response.body.reader();
  std::vector<std::byte> out(phase.read);
  REQUIRE(reader.read_exactly(out) == phase.read);
  if (phase.blocked) REQUIRE(transport.wait_until_blocked());
  return reader;
}

/// Nothing is left of the transfers, and of their connections `idle` ones.
template <class T>
void check_released(T& transport, std::uint64_t idle = 0) {
  CHECK(transport.wait_until_quiet(idle));
  REQUIRE(eventually([&] { return transport.client().stats().active == 0; }));
  const ClientStats stats = transport.client().stats();
  CHECK(stats.paused == 0);
  CHECK(balanced(stats));
  CHECK(stats.connections_open == idle);
}

/// fetch() of a server that never answers, in another thread, once the server has the request.
template <class T>
std::future<std::optional<errc>> hanging_fetch(T& transport, std::stop_token stop = {}) {
  auto code = std::async(std::launch::async, [&transport, stop] {
    return code_of([&] { transport.client().fetch(transport.url("/hang"), {.stop = stop}); });
  });
  REQUIRE(transport.wait_for_requests(1));
  return code;
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("Reader: cancel() releases the transfer in every phase", T, WEIR_TRANSPORTS) {
    for (const Phase& phase : kPhases) {
      CAPTURE(phase.name);
      T transport;
      Reader reader = reader_at(transport, phase);
      reader.cancel();
      for (int again = 0; again < 2; ++again) {
        const auto error = error_of([&] { reader.read(); });
        REQUIRE(error);
        CHECK(error->code() == errc::aborted);
        CHECK(error->code() == std::errc::operation_canceled);
        CHECK(error->url() == transport.url(phase.path));
        CHECK(error->status() == 200);
        reader.cancel();
      }
      check_released(transport);
      CHECK(transport.client().stats().queue_memory == 0);
    }
  }

  TEST_CASE_TEMPLATE("Reader: dropping it releases the transfer in every phase", T,
                     WEIR_TRANSPORTS) {
    for (const Phase& phase : kPhases) {
      CAPTURE(phase.name);
      T transport;
      { const Reader reader = reader_at(transport, phase); }
      check_released(transport);
      CHECK(transport.client().stats().queue_memory == 0);
    }
  }

  TEST_CASE_TEMPLATE("Body: dropping or cancelling it unread releases the transfer", T,
                     WEIR_TRANSPORTS) {
    T transport;
    transport.client().fetch(transport.url("/bytes/100000000"));
    check_released(transport);
    Response response = transport.client().fetch(transport.url("/bytes/100000000"));
    REQUIRE(transport.wait_until_blocked());
    response.body.cancel();
    check_released(transport);
    CHECK(code_of([&] { response.body.reader().read(); }) == errc::aborted);
  }

  TEST_CASE_TEMPLATE("fetch: a stop request ends the body in every phase", T, WEIR_TRANSPORTS) {
    for (const Phase& phase : kPhases) {
      CAPTURE(phase.name);
      T transport;
      std::stop_source stop;
      Reader reader = reader_at(transport, phase, stop.get_token());
      stop.request_stop();
      CHECK(code_of([&] { reader.read(); }) == errc::aborted);
      CHECK(code_of([&] { reader.try_read(); }) == errc::aborted);
      check_released(transport);
    }
  }

  TEST_CASE_TEMPLATE("fetch: a stop request before the start sends nothing", T, WEIR_TRANSPORTS) {
    T transport;
    std::stop_source stop;
    stop.request_stop();
    const auto url = transport.url("/bytes/1000");
    const auto error = error_of([&] { transport.client().fetch(url, {.stop = stop.get_token()}); });
    REQUIRE(error);
    CHECK(error->code() == errc::aborted);
    CHECK(error->url() == url);
    CHECK(transport.client().stats().requests == 0);
  }

  TEST_CASE_TEMPLATE("fetch: a stop request ends the wait for headers", T, WEIR_TRANSPORTS) {
    T transport;
    std::stop_source stop;
    auto code = hanging_fetch(transport, stop.get_token());
    stop.request_stop();
    CHECK(code.get() == errc::aborted);
    check_released(transport);
  }

  TEST_CASE_TEMPLATE("fetch: a stop request ends a read that waits", T, WEIR_TRANSPORTS) {
    T transport;
    std::stop_source stop;
    Reader reader = reader_at(transport, kPhases[4], stop.get_token());
    auto code = std::async(std::launch::async, [&] { return code_of([&] { reader.read(); }); });
    stop.request_stop();
    CHECK(code.get() == errc::aborted);
    check_released(transport);
  }

  TEST_CASE_TEMPLATE("Reader: cancel() from another thread ends a read that waits", T,
                     WEIR_TRANSPORTS) {
    T transport;
    Reader reader = reader_at(transport, kPhases[4]);
    auto code = std::async(std::launch::async, [&] { return code_of([&] { reader.read(); }); });
    reader.cancel();
    CHECK(code.get() == errc::aborted);
    check_released(transport);
  }

  TEST_CASE_TEMPLATE("Body: cancel() from another thread ends text()", T, WEIR_TRANSPORTS) {
    T transport;
    Response response = transport.client().fetch(transport.url("/bytes/9000?stall_after=2000"));
    auto code = std::async(std::launch::async, [&] { return code_of([&] { response.text(); }); });
    response.body.cancel();
    CHECK(code.get() == errc::aborted);
    check_released(transport, T::keeps_reset() ? 1 : 0);
  }

  TEST_CASE_TEMPLATE("fetch: a stop request after the end changes nothing", T, WEIR_TRANSPORTS) {
    T transport;
    std::stop_source stop;
    Response response =
        transport.client().fetch(transport.url("/bytes/1000"), {.stop = stop.get_token()});
    Reader reader = response.body.reader();
    CHECK(read_all(reader) == 1000);
    stop.request_stop();
    reader.cancel();
    CHECK(!reader.read());
    CHECK(reader.try_read().status == ReadStatus::end);
    CHECK(reader.stats().drained == 1000);
  }

  TEST_CASE_TEMPLATE("fetch: a stop request after a failure changes nothing", T, WEIR_TRANSPORTS) {
    T transport;
    std::stop_source stop;
    Response response = transport.client().fetch(transport.url("/bytes/1000?cut_after=10"),
                                                 {.stop = stop.get_token()});
    Reader reader = response.body.reader();
    CHECK(read_all(reader).code() == errc::truncated);
    stop.request_stop();
    reader.cancel();
    CHECK(code_of([&] { reader.read(); }) == errc::truncated);
  }

  TEST_CASE_TEMPLATE("fetch: one stop source ends many transfers at once", T, WEIR_TRANSPORTS) {
    T transport;
    std::stop_source stop;
    std::vector<Reader> readers;
    for (int count = 0; count < 20; ++count) {
      readers.push_back(reader_at(transport, kPhases[0], stop.get_token()));
    }
    stop.request_stop();
    for (auto& reader : readers) CHECK(code_of([&] { reader.read(); }) == errc::aborted);
    check_released(transport);
  }

  TEST_CASE_TEMPLATE("Client: destroying it aborts its bodies in every phase", T, WEIR_TRANSPORTS) {
    for (const Phase& phase : kPhases) {
      CAPTURE(phase.name);
      T transport;
      Reader reader = reader_at(transport, phase);
      transport.destroy_client();
      const Seen seen = read_all(reader);
      CHECK(seen.code() == errc::aborted);
      REQUIRE(seen.error);
      CHECK(seen.error->url() == transport.url(phase.path));
      reader.cancel();
      CHECK(code_of([&] { reader.read(); }) == errc::aborted);
    }
  }

  TEST_CASE_TEMPLATE("Client: destroying it ends a read that waits", T, WEIR_TRANSPORTS) {
    T transport;
    Reader reader = reader_at(transport, kPhases[4]);
    auto code = std::async(std::launch::async, [&] { return code_of([&] { reader.read(); }); });
    transport.destroy_client();
    CHECK(code.get() == errc::aborted);
  }

  TEST_CASE_TEMPLATE("Client: destroying it aborts a fetch that waits for headers", T,
                     WEIR_TRANSPORTS) {
    T transport;
    auto code = hanging_fetch(transport);
    transport.destroy_client();
    CHECK(code.get() == errc::aborted);
  }

  TEST_CASE_TEMPLATE("Reader: cancelling again and again leaves nothing behind", T,
                     WEIR_TRANSPORTS) {
    T transport;
    const int rounds = sized(20, 200, 2'000);
    for (int round = 0; round < rounds; ++round) {
      const Phase phase{"", "/bytes/10000000", false, static_cast<std::size_t>(round % 5) * 50'000};
      std::stop_source stop;
      Reader reader = reader_at(transport, phase, stop.get_token());
      if (round % 3 == 0) reader.cancel();
      if (round % 3 == 1) stop.request_stop();
    }
    check_released(transport);
    CHECK(transport.client().stats().queue_memory == 0);
    CHECK(transport.client().stats().requests == static_cast<std::uint64_t>(rounds));
  }

  TEST_CASE_TEMPLATE("Reader: cancel() racing with reads and the end is harmless", T,
                     WEIR_TRANSPORTS) {
    T transport;
    const int rounds = sized(20, 100, 1'000);
    for (int round = 0; round < rounds; ++round) {
      Response response = transport.client().fetch(transport.url("/bytes/200000?seed=6"));
      Reader reader = response.body.reader();
      auto seen = std::async(std::launch::async, [&] { return read_all(reader, 6); });
      for (int yields = 0; yields < round; ++yields) std::this_thread::yield();
      reader.cancel();
      const Seen result = seen.get();
      CHECK(!result.wrong);
      CHECK((result == 200'000 || result.code() == errc::aborted));
    }
    REQUIRE(eventually([&] { return transport.client().stats().active == 0; }));
    CHECK(balanced(transport.client().stats()));
    CHECK(transport.client().stats().queue_memory == 0);
  }
}
