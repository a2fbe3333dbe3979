#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "contract/transports.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

namespace {

// The server reads the request, then closes, unless it is the connection's first.
const char* closing(bool reset) {
  return reset ? "/close?before=headers&how=rst&reused=1"
               : "/close?before=headers&how=fin&reused=1";
}

struct Tally {
  std::uint64_t sent = 0;  // by the program
  std::uint64_t lost = 0;
  std::uint64_t other = 0;  // neither lost nor answered

  void add(const std::optional<errc>& code) {
    ++sent;
    if (code == errc::connection_lost) {
      ++lost;
    } else if (code) {
      ++other;
    }
  }
};

template <class T>
Tally send(T& transport, const char* method, bool reset, int count) {
  Tally tally;
  for (int i = 0; i < count; ++i) {
    tally.add(code_of([&] {
      const bool body = method[0] == 'P';
      transport.client()
          .fetch(transport.url(closing(reset)),
                 {.method = method, .body = body ? Body("once") : Body()})
          .text();
    }));
  }
  return tally;
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("Retry: however often connections close, the server gets each POST once", T,
                     WEIR_NETWORK_TRANSPORTS) {
    const int count = sized(10, 40, 200);
    for (const bool reset : {false, true}) {
      CAPTURE(reset);
      for (const char* method : {"POST", "PATCH"}) {
        CAPTURE(method);
        T transport;
        const Tally tally = send(transport, method, reset, count);
        CHECK(tally.other == 0);
        CHECK(transport.server().stats().requests == tally.sent);
        // Each that was answered left a connection, whose next request was lost.
        CHECK(tally.lost == (T::reuses() ? tally.sent / 2 : 0));
      }
    }
  }

  TEST_CASE_TEMPLATE("Retry: the same from four threads at once", T, WEIR_NETWORK_TRANSPORTS) {
    T transport;
    const int count = sized(10, 40, 200);
    std::vector<Tally> tallies(4);
    {
      std::vector<std::jthread> threads;
      for (Tally& tally : tallies) {
        threads.emplace_back(
            [&] { tally = send(transport, "POST", &tally == &tallies[0], count); });
      }
    }
    std::uint64_t sent = 0;
    for (const Tally& tally : tallies) {
      CHECK(tally.other == 0);
      sent += tally.sent;
    }
    CHECK(transport.server().stats().requests == sent);
  }

  TEST_CASE_TEMPLATE("Retry: what may be sent twice never fails for a reused connection", T,
                     WEIR_NETWORK_TRANSPORTS) {
    const int count = sized(10, 40, 200);
    for (const char* method : {"GET", "PUT", "DELETE", "HEAD", "OPTIONS"}) {
      CAPTURE(method);
      T transport;
      const Tally tally = send(transport, method, false, count);
      CHECK(tally.lost == 0);
      CHECK(tally.other == 0);
      // All but the first found a connection that then closed.
      CHECK(transport.server().stats().requests == (T::reuses() ? 2 * tally.sent - 1 : tally.sent));
    }
  }

  TEST_CASE_TEMPLATE("Retry: a connection that was not used before is not tried twice", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    for (const char* how : {"fin", "rst"}) {
      for (const char* method : {"GET", "PUT", "POST"}) {
        const std::uint64_t before = transport.server().stats().requests;
        const auto code = code_of([&] {
          transport.client().fetch(
              transport.url(std::string("/close?before=headers&how=") + how),
              {.method = method, .body = method[0] == 'P' ? Body("once") : Body()});
        });
        CHECK(code == errc::connection_lost);
        CHECK(transport.server().stats().requests == before + 1);
      }
    }
  }
}
