#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "contract/transports.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

namespace {

constexpr std::uint64_t kSizes[] = {0,      1,      4'095,  4'096,  4'097,     16'383,
                                    16'384, 16'385, 65'535, 65'536, 1'048'576, 5'242'881};

std::string bytes_path(std::uint64_t size, std::string_view query = "") {
  return "/bytes/" + std::to_string(size) + "?seed=" + std::to_string(size % 97) +
         std::string(query);
}

/// Reads to the end by read_some() or read_exactly() with a buffer of `size`.
template <class Read>
Seen read_into(Reader& reader, std::uint64_t seed, std::size_t size, Read read) {
  Seen seen;
  std::vector<std::byte> out(size);
  while (const std::size_t count = read(reader, out)) {
    const Bytes bytes = Bytes(out).first(count);
    if (!seen.wrong) seen.wrong = harness::pattern::check(seed, seen.bytes, bytes);
    seen.bytes += count;
  }
  return seen;
}

/// Reads to the end without ever waiting in a read.
Seen read_by_polling(Reader& reader, std::uint64_t seed) {
  Seen seen;
  for (;;) {
    const auto result = reader.try_read();
    if (result.status == ReadStatus::end) return seen;
    if (!result) std::this_thread::yield();
    if (!seen.wrong) seen.wrong = harness::pattern::check(seed, seen.bytes, result.chunk.bytes());
    seen.bytes += result.chunk.size();
  }
}

Seen seen_of(Bytes bytes, std::uint64_t seed) {
  return {.bytes = bytes.size(), .wrong = harness::pattern::check(seed, 0, bytes), .error = {}};
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("fetch: brings the status, the fields and the body", T, WEIR_TRANSPORTS) {
    T transport;
    const auto url = transport.url("/bytes/1000?seed=7&status=206&content_type=text/plain");
    Response response = transport.client().fetch(url);
    CHECK(response.status == 206);
    CHECK(response.ok());
    CHECK(response.headers.get("content-type") == "text/plain");
    CHECK(response.headers.get("CONTENT-LENGTH") == "1000");
    CHECK(response.url == url);
    CHECK(response.version == T::kVersion);
    CHECK(!response.redirected);
    CHECK(response.body.length() == 1000);
    CHECK(!response.body.used());
    CHECK(read_all(response, 7) == 1000);
    CHECK(response.body.used());
  }

  TEST_CASE_TEMPLATE("fetch: a status is never an error", T, WEIR_TRANSPORTS) {
    T transport;
    for (const int status : {200, 201, 299, 302, 400, 404, 500, 599}) {
      CAPTURE(status);
      Response response =
          transport.client().fetch(transport.url("/status/" + std::to_string(status)));
      CHECK(response.status == status);
      CHECK(response.ok() == (status < 300));
      CHECK(response.text() == std::to_string(status) + "\n");
    }
  }

  TEST_CASE_TEMPLATE("Body: every size arrives whole, however it is framed", T, WEIR_TRANSPORTS) {
    T transport;
    for (const auto size : kSizes) {
      CAPTURE(size);
      for (const auto framing : {"", "&chunked=1", "&no_length=1"}) {
        CAPTURE(framing);
        const bool sized = std::string_view(framing).empty();
        Response response = transport.client().fetch(transport.url(bytes_path(size, framing)));
        CHECK(response.body.length() == (sized ? std::optional(size) : std::nullopt));
        CHECK(read_all(response, size % 97) == size);
      }
    }
  }

  TEST_CASE_TEMPLATE("Body: every form of reading brings the same bytes", T, WEIR_TRANSPORTS) {
    T transport;
    for (const auto size : kSizes) {
      CAPTURE(size);
      const auto seed = size % 97;
      const auto get = [&] { return transport.client().fetch(transport.url(bytes_path(size))); };
      const auto some = [](Reader& reader, auto& out) { return reader.read_some(out); };
      const auto exactly = [](Reader& reader, auto& out) { return reader.read_exactly(out); };
      Reader first = get().body.reader();
      CHECK(read_into(first, seed, 7'777, some) == size);
      Reader second = get().body.reader();
      CHECK(read_into(second, seed, 100'000, exactly) == size);
      Reader third = get().body.reader();
      CHECK(read_by_polling(third, seed) == size);
      CHECK(seen_of(get().bytes(), seed) == size);
      const std::string text = get().text();
      CHECK(seen_of(std::as_bytes(std::span(text)), seed) == size);
    }
  }

  TEST_CASE_TEMPLATE("Body: a response without one is at its end, and unused", T, WEIR_TRANSPORTS) {
    T transport;
    SUBCASE("HEAD") {
      for (int count = 0; count < 3; ++count) {
        Response response =
            transport.client().fetch(transport.url("/bytes/1000"), {.method = "HEAD"});
        CHECK(response.headers.get("content-length") == "1000");
        CHECK(!response.body.used());
        CHECK(response.text().empty());
      }
    }
    SUBCASE("204") {
      Response response = transport.client().fetch(transport.url("/bytes/0?status=204"));
      CHECK(response.status == 204);
      CHECK(!response.body.used());
      CHECK(!response.body.reader().read());
    }
    SUBCASE("304") {
      Response response = transport.client().fetch(transport.url("/bytes/0?status=304"));
      CHECK(response.status == 304);
      CHECK(response.bytes().empty());
    }
    if (T::reuses()) CHECK(transport.client().stats().connections_opened == 1);
  }

  TEST_CASE_TEMPLATE("fetch: a request body arrives whole", T, WEIR_TRANSPORTS) {
    T transport;
    for (const std::size_t size : {0U, 1U, 1'000U, 16'384U, 70'000U, 1'048'577U}) {
      CAPTURE(size);
      std::vector<std::byte> bytes(size);
      harness::pattern::fill(3, 0, bytes);
      for (const auto method : {"", "PUT", "PATCH", "DELETE", "FROBNICATE"}) {
        CAPTURE(method);
        Response response =
            transport.client().fetch(transport.url("/echo"), {.method = method, .body = bytes});
        CHECK(response.status == 200);
        CHECK(response.body.length() == size);
        CHECK(response.bytes() == bytes);
      }
    }
    const std::string text("a\0b", 3);
    CHECK(transport.client().fetch(transport.url("/echo"), {.body = text}).text() == text);
  }

  TEST_CASE_TEMPLATE("stats: what was received was drained, and every pause ended", T,
                     WEIR_TRANSPORTS) {
    T transport({.high_water = 65'536});
    constexpr std::uint64_t kSize = 3'000'000;
    Response response = transport.client().fetch(transport.url("/bytes/3000000?chunked=1"));
    Reader reader = response.body.reader();
    CHECK(read_all(reader) == kSize);
    const BodyStats body = reader.stats();
    CHECK(body.received == kSize);
    CHECK(body.drained == kSize);
    CHECK(body.decoded == kSize);
    CHECK(body.queued == 0);
    CHECK(body.peak_queued <= 65'536 + 16'384);
    CHECK(body.pauses == body.resumes);
    CHECK(!body.paused);
    REQUIRE(eventually([&] { return transport.client().stats().active == 0; }));
    const ClientStats all = transport.client().stats();
    CHECK(all.requests == 1);
    CHECK(all.bytes_received == kSize);
    CHECK(all.paused == 0);
    CHECK(balanced(all));
    CHECK(all.queue_memory == 0);
    CHECK(all.peak_queue_memory > 0);
  }

  TEST_CASE_TEMPLATE("Client: many threads fetch at once", T, WEIR_TRANSPORTS) {
    T transport;
    const int rounds = sized(5, 20, 60);
    std::vector<std::future<int>> workers;
    for (std::uint64_t worker = 0; worker < 6; ++worker) {
      workers.push_back(std::async(std::launch::async, [&, worker] {
        int wrong = 0;
        for (int round = 0; round < rounds; ++round) {
          const std::uint64_t size = kSizes[(worker + static_cast<std::uint64_t>(round)) % 11];
          Response response = transport.client().fetch(transport.url(bytes_path(size)));
          wrong += read_all(response, size % 97) == size ? 0 : 1;
        }
        return wrong;
      }));
    }
    for (auto& worker : workers) CHECK(worker.get() == 0);
    CHECK(balanced(transport.client().stats()));
  }

  TEST_CASE_TEMPLATE("Response: outlives its Client and what was queued is aborted", T,
                     WEIR_TRANSPORTS) {
    T transport;
    Response whole = transport.client().fetch(transport.url("/bytes/1000?seed=1"));
    REQUIRE(eventually([&] { return transport.client().stats().active == 0; }));
    Response cut = transport.client().fetch(transport.url("/bytes/100000000"));
    transport.destroy_client();
    CHECK(whole.headers.get("content-length") == "1000");
    CHECK(read_all(whole, 1) == 1000);
    CHECK(read_all(cut).code() == errc::aborted);
  }

  TEST_CASE_TEMPLATE("fetch: interim responses are passed over", T, WEIR_NETWORK_TRANSPORTS) {
    T transport;
    for (const auto count : {1, 3, 50}) {
      Response response =
          transport.client().fetch(transport.url("/interim/" + std::to_string(count)));
      CHECK(response.status == 200);
      CHECK(response.text() == "ok\n");
    }
  }

  TEST_CASE_TEMPLATE("Reader: trailers are there after the end, apart from the headers", T, Http1,
                     Https1) {
    T transport;
    Response response = transport.client().fetch(
        transport.url("/raw?text=HTTP/1.1%20200%20OK%0D%0ATransfer-Encoding:%20chunked%0D%0A%0D%0A"
                      "3%0D%0Aabc%0D%0A0%0D%0AChecksum:%2017%0D%0A%0D%0A"));
    Reader reader = response.body.reader();
    CHECK(reader.trailers().empty());
    CHECK(reader.read()->text() == "abc");
    CHECK(!reader.read());
    CHECK(reader.trailers() == Headers{{"Checksum", "17"}});
    CHECK(!response.headers.has("checksum"));
  }

  TEST_CASE_TEMPLATE("fetch: the server gets the merged fields, and no others", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport({.user_agent = "tester/1", .headers = {{"X-One", "client"}, {"X-Two", "client"}}});
    const std::string head =
        transport.client()
            .fetch(
                transport.url("/headers_echo"),
                {.headers = {{"x-two", "own"}, {"X-Empty", ""}, {"X-Many", "1"}, {"X-Many", "2"}}})
            .text();
    INFO(head);
    const auto line = [](const char* name, const char* value) {
      return "\r\n" + T::wire_name(name) + ":" + value + "\r\n";
    };
    CHECK(contains(head, T::request_line("/headers_echo")));
    CHECK(contains(head, line("User-Agent", " tester/1")));
    CHECK(contains(head, line("X-One", " client")));
    CHECK(contains(head, line("x-two", " own")));
    CHECK(!contains(head, line("X-Two", " client")));
    CHECK((contains(head, line("X-Empty", "")) || contains(head, line("X-Empty", " "))));
    CHECK(contains(head, line("X-Many", " 1")));
    CHECK(contains(head, line("X-Many", " 2")));
    for (const char* name : {"Content-Type", "Content-Length", "Expect"}) {
      CHECK(!contains(head, "\r\n" + T::wire_name(name)));
    }
  }
}
