#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "contract/transports.hpp"
#include "decode/codings.hpp"
#include "support/coroutine.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

namespace {

constexpr const char* kCodings[] = {"gzip", "deflate", "raw_deflate", "br", "zstd", "br,gzip"};

std::string path_of(std::uint64_t size, const std::string& coding, std::string_view more = "") {
  return "/bytes/" + std::to_string(size) + "?seed=3&encode=" + coding + std::string(more);
}

template <class T>
std::vector<std::byte> raw_bytes(T& transport, const std::string& path) {
  return transport.client().fetch(transport.url(path), {.decode = false}).bytes();
}

/// How many of the first bytes of `wire` are needed before `content` bytes can be decoded.
std::size_t wire_size_of(std::string_view coding, Bytes wire, std::size_t content) {
  std::string problem;
  const auto decoder = decode::make_decoder(coding, problem);
  std::vector<std::byte> out(64 * 1024);
  std::size_t sum = 0;
  for (std::size_t at = 0; at < wire.size(); ++at) {
    sum += decoder->step(wire.subspan(at, 1), out).produced;
    if (sum >= content) return at + 1;
  }
  return wire.size();
}

std::string percent_encoded(std::string_view bytes) {
  constexpr const char* kDigits = "0123456789ABCDEF";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

Coroutine<Seen> read_async_until(Reader reader, std::uint64_t seed) {
  Seen seen;
  for (;;) {
    const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
    const ReadResult result = co_await reader.async_read_until(soon);
    if (result.status == ReadStatus::end) co_return seen;
    if (!result) continue;
    if (!seen.wrong) seen.wrong = harness::pattern::check(seed, seen.bytes, result.chunk.bytes());
    seen.bytes += result.chunk.size();
  }
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("decode: every coding and size arrives as it was, by every form of reading", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    const std::uint64_t large = sized<std::uint64_t>(300'000, 2'000'000, 8'000'000);
    for (const std::string coding : kCodings) {
      CAPTURE(coding);
      for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, large}) {
        CAPTURE(size);
        const auto get = [&] {
          return transport.client().fetch(transport.url(path_of(size, coding)));
        };
        Response response = get();
        CHECK(!response.body.length());
        Reader reader = response.body.reader();
        CHECK(read_all(reader, 3) == size);
        const BodyStats stats = reader.stats();
        CHECK(stats.decoded == size);
        CHECK(stats.drained == stats.received);
        CHECK(get().bytes().size() == size);
        CHECK(get().text().size() == size);
        CHECK(read_async(get().body.reader(), 3).get() == size);
        CHECK(read_async_until(get().body.reader(), 3).get() == size);
      }
    }
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("decode: the fields stay as sent, and the length is unknown", T, Http1,
                     Https1) {
    T transport;
    const auto wire = raw_bytes(transport, path_of(100, "gzip"));
    const std::string text(reinterpret_cast<const char*>(wire.data()), wire.size());
    const std::string length = std::to_string(wire.size());
    const std::string path = "/raw?text=" + percent_encoded(
                                                "HTTP/1.1 200 OK\r\nContent-Encoding: "
                                                "gzip\r\nContent-Length: " +
                                                length + "\r\n\r\n" + text);
    Response response = transport.client().fetch(transport.url(path));
    CHECK(response.headers.get("Content-Encoding") == "gzip");
    CHECK(response.headers.get("Content-Length") == length);
    CHECK(response.body.length() == std::nullopt);
    CHECK(read_all(response, 3) == 100);
    Response raw = transport.client().fetch(transport.url(path), {.decode = false});
    CHECK(raw.body.length() == wire.size());
    CHECK(raw.bytes() == wire);
  }

  TEST_CASE_TEMPLATE("decode: the server is asked for what can be decoded, unless told not to", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    const auto asked = [&](RequestInit init) {
      return transport.client().fetch(transport.url("/headers_echo"), std::move(init)).text();
    };
    const std::string name = T::wire_name("Accept-Encoding");
    CHECK(contains(asked({}), "\r\n" + name + ": gzip, deflate, br, zstd\r\n"));
    CHECK(!contains(asked({.decode = false}), name));
    CHECK(contains(asked({.headers = {{"Accept-Encoding", "br"}}}), "\r\n" + name + ": br\r\n"));
  }

  TEST_CASE_TEMPLATE("decode: a response without a body is no error, whatever it claims", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    for (const std::string coding : {"gzip", "br", "zstd", "unheard-of", "gzip,gzip,gzip"}) {
      CAPTURE(coding);
      const std::string claim = "&content_encoding=" + coding;
      const auto text = [&](const std::string& path, const char* method) {
        return transport.client().fetch(transport.url(path + claim), {.method = method}).text();
      };
      CHECK(text("/bytes/1000?a=", "HEAD").empty());
      CHECK(text("/bytes/0?status=204", "GET").empty());
      CHECK(text("/bytes/0?status=304", "GET").empty());
      CHECK(text("/bytes/0?status=200", "GET").empty());
      CHECK(text("/bytes/0?chunked=1", "GET").empty());
      CHECK(text("/bytes/0?no_length=1", "GET").empty());
    }
  }

  TEST_CASE_TEMPLATE("decode: what is not what it claims to be fails, and only its body does", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    for (const std::string coding : {"gzip", "zstd", "unheard-of", "gzip,gzip,gzip"}) {
      CAPTURE(coding);
      Response response =
          transport.client().fetch(transport.url("/bytes/5000000?content_encoding=" + coding));
      CHECK(response.status == 200);
      const Seen seen = read_all(response);
      CHECK(seen.bytes == 0);
      CHECK(seen.code() == errc::decode_failed);
      CHECK(seen.error->status() == 200);
      CHECK(!seen.error->url().empty());
      Response awaited = transport.client().fetch(
          transport.url("/bytes/5000000?rate=1000000&content_encoding=" + coding));
      CHECK(read_async(awaited.body.reader(), 0).get().code() == errc::decode_failed);
    }
    REQUIRE(eventually([&] { return transport.client().stats().active == 0; }));
    CHECK(balanced(transport.client().stats()));
    CHECK(transport.client().fetch(transport.url("/status/200")).text() == "200\n");
  }

  TEST_CASE_TEMPLATE("decode: a body cut short delivers what came, then truncated", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    for (const std::string coding : kCodings) {
      CAPTURE(coding);
      Response response =
          transport.client().fetch(transport.url(path_of(300'000, coding, "&cut_after=150000")));
      const Seen seen = read_all(response, 3);
      CHECK(seen.bytes > 0);
      CHECK(seen.bytes < 300'000);
      CHECK(!seen.wrong);
      CHECK(seen.code() == errc::truncated);
    }
  }

  TEST_CASE_TEMPLATE("decode: every flush can be read before more comes", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    for (const std::string coding : {"gzip", "deflate", "br", "zstd"}) {
      CAPTURE(coding);
      for (const std::size_t flushed : {100U, 5'000U}) {
        const std::string flush = "&flush=" + std::to_string(flushed);
        const auto wire = raw_bytes(transport, path_of(20 * flushed, coding, flush));
        const std::size_t stall = wire_size_of(coding, wire, 3 * flushed);
        Response response = transport.client().fetch(transport.url(
            path_of(20 * flushed, coding, flush + "&stall_after=" + std::to_string(stall))));
        Reader reader = response.body.reader();
        std::vector<std::byte> out(3 * flushed);
        CHECK(reader.read_exactly(out) == out.size());
        CHECK(harness::pattern::check(3, 0, out) == std::nullopt);
        CHECK(!reader.try_read());
      }
    }
  }

  TEST_CASE_TEMPLATE("decode: dropping and cancelling in the middle leave nothing", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    for (const std::string coding : kCodings) {
      CAPTURE(coding);
      const auto get = [&] {
        return transport.client().fetch(transport.url(path_of(50'000'000, coding)));
      };
      {
        Reader dropped = get().body.reader();
        CHECK(dropped.read());
      }
      Reader cancelled = get().body.reader();
      CHECK(cancelled.read());
      cancelled.cancel();
      CHECK(code_of([&] { cancelled.read(); }) == errc::aborted);
    }
    REQUIRE(eventually([&] { return transport.client().stats().active == 0; }));
    const ClientStats stats = transport.client().stats();
    CHECK(stats.queue_memory == 0);
    CHECK(balanced(stats));
  }
}
