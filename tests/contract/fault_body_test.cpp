#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "contract/raw_server.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::string_view_literals;

// Bodies of HTTP/1 that end too early, too late, or in chunks that are none.

namespace {

constexpr const char* kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

// Some libcurl before 8.14 with OpenSSL takes a TLS connection that is cut for one that was closed
// (openssl.c: BIO_CTRL_EOF): only where a length or chunks say more is it seen.
bool sees_cut_tls() { return curl_version_info(CURLVERSION_NOW)->version_num >= 0x080e00; }

/// Small marks, so that little is needed to pause a body.
ClientOptions small_marks() {
  ClientOptions options;
  options.high_water = options.unread_high_water = 65'536;
  options.low_water = 16'384;
  return options;
}

struct Row {
  std::string_view what;
  std::string_view answer;
  End end;
  std::optional<errc> error;
  std::string_view body;
  bool tls_only = false;
};

template <class T>
void check_row(T& server, const Row& row) {
  CAPTURE(row.what);
  const Got got = server.get(row.answer, row.end);
  CAPTURE(got.detail);
  CHECK(got.error == row.error);
  CHECK(got.body == row.body);
  CHECK(got.status == 200);
  if (!row.error) return;
  CHECK(got.url == server.url());
  CHECK(!got.detail.empty());
  CHECK(!got.retryable);
}

constexpr std::string_view kLength = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"sv;
constexpr std::string_view kExcess = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, more"sv;
constexpr std::string_view kUntilEnd = "HTTP/1.1 200 OK\r\n\r\nhello"sv;
constexpr std::string_view kOld = "HTTP/1.0 200 OK\r\n\r\nhello"sv;

constexpr Row kEnds[] = {
    {"short of its length", kLength, End::fin, errc::truncated, "hello"},
    {"short of its length, cut", kLength, End::cut, errc::truncated, "hello"},
    {"short of its length, reset", kLength, End::rst, errc::truncated, "hello"},
    {"beyond its length", kExcess, End::fin, {}, "hello"},
    {"beyond its length, reset", kExcess, End::rst, {}, "hello"},
    {"without a length", kUntilEnd, End::fin, {}, "hello"},
    {"without a length, no close_notify", kUntilEnd, End::cut, errc::truncated, "hello", true},
    {"without a length, reset", kUntilEnd, End::rst, errc::truncated, "hello"},
    {"HTTP/1.0", kOld, End::fin, {}, "hello"},
    {"HTTP/1.0, no close_notify", kOld, End::cut, errc::truncated, "hello", true},
    {"HTTP/1.0, reset", kOld, End::rst, errc::truncated, "hello"},
};

struct Chunks {
  std::string_view text;
  errc error;
  std::string_view body = "";
};

constexpr Chunks kBadChunks[] = {
    {"g\r\nabc\r\n0\r\n\r\n"sv, errc::protocol_error},
    {"-3\r\nabc\r\n0\r\n\r\n"sv, errc::protocol_error},
    {"+3\r\nabc\r\n0\r\n\r\n"sv, errc::protocol_error},
    {" 3\r\nabc\r\n0\r\n\r\n"sv, errc::protocol_error},
    {"\r\nabc\r\n0\r\n\r\n"sv, errc::protocol_error},
    {";a=b\r\nabc\r\n0\r\n\r\n"sv, errc::protocol_error},
    {"0x3\r\nabc\r\n0\r\n\r\n"sv, errc::protocol_error},
    {"\0\r\nabc\r\n0\r\n\r\n"sv, errc::protocol_error},
    {"10000000000000003\r\nabc\r\n0\r\n\r\n"sv, errc::protocol_error},  // 2^64 + 3
    {"ffffffffffffffff\r\nabc\r\n0\r\n\r\n"sv, errc::protocol_error},
    {"8000000000000000\r\nabc\r\n0\r\n\r\n"sv, errc::protocol_error},
    {"3\r\nabc0\r\n\r\n"sv, errc::protocol_error, "abc"},
    {"3\r\nabcd\r\n0\r\n\r\n"sv, errc::protocol_error, "abc"},
    {"3\r\nabc\r\nz\r\n\r\n"sv, errc::protocol_error, "abc"},
    {"3\r\nabc\r\n-1\r\n\r\n"sv, errc::protocol_error, "abc"},
    {"3\r\nabc\r\n0\r\nno colon\r\n\r\n"sv, errc::protocol_error, "abc"},
    {"3\r\nabc\r\n0\r\n: no name\r\n\r\n"sv, errc::protocol_error, "abc"},
    {"3\r\nabc\r\n0\r\nA : b\r\n\r\n"sv, errc::protocol_error, "abc"},
    {"3\r\nabc\r\n0\r\nA: lone\rCR\r\n\r\n"sv, errc::protocol_error, "abc"},
    {"3\r\nabc\r\n0\r\nA: NU\0L\r\n\r\n"sv, errc::protocol_error, "abc"},
    {"3\r\nabc\r\n0\r\n folded\r\n\r\n"sv, errc::protocol_error, "abc"},
    {"7fffffffffffffff\r\nabc"sv, errc::truncated, "abc"},
    {""sv, errc::truncated},
    {"3"sv, errc::truncated},
    {"3\r\nab"sv, errc::truncated, "ab"},
    {"3\r\nabc"sv, errc::truncated, "abc"},
    {"3\r\nabc\r\n"sv, errc::truncated, "abc"},
    {"3\r\nabc\r\n0"sv, errc::truncated, "abc"},
    {"3\r\nabc\r\n0\r\n"sv, errc::truncated, "abc"},
    {"3\r\nabc\r\n0\r\nA: b\r\n"sv, errc::truncated, "abc"},
};

constexpr std::string_view kGoodChunks[] = {
    "3\r\nabc\r\n0\r\n\r\n"sv,
    "3;a=b\r\nabc\r\n0;c=\"d\"\r\n\r\n"sv,
    "0003\r\nabc\r\n0000\r\n\r\n"sv,
    "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"sv,
    "3\r\nabc\r\n0\r\nA: b\r\n\r\n"sv,
    "3\r\nabc\r\n0\r\n\r"sv,
    // RFC 9112 section 7.1 has no such chunks; libcurl 7.88 skips what it does not know, and shows
    // only their bytes.
    "3 \r\nabc\r\n0\r\n\r\n"sv,
    "3 garbage\r\nabc\r\n0\r\n\r\n"sv,
    "3\nabc\n0\n\n"sv,
    "3\r\nabc\r\r\n0\r\n\r\n"sv,
};

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("Body: how its connection ends tells whether it is whole", T, PlainServer,
                     TlsServer) {
    T server;
    for (const Row& row : kEnds) {
      if (row.tls_only && (std::is_same_v<T, PlainServer> || !sees_cut_tls())) continue;
      check_row(server, row);
    }
  }

  TEST_CASE_TEMPLATE(
      "Body: chunks that are malformed or cut short are an error after the good ones", T,
      PlainServer, TlsServer) {
    T server;
    for (const Chunks& row : kBadChunks) {
      check_row(server,
                {row.text, std::string(kChunked).append(row.text), End::fin, row.error, row.body});
    }
  }

  TEST_CASE_TEMPLATE("Body: chunks are read as their sender meant them", T, PlainServer,
                     TlsServer) {
    T server;
    for (const auto text : kGoodChunks) {
      check_row(server, {text, std::string(kChunked).append(text), End::fin, {}, "abc"});
    }
  }

  TEST_CASE_TEMPLATE("Body: a chunk's extension without an end runs into idle_timeout", T,
                     PlainServer, TlsServer) {
    T server;
    PendingResponse pending = server.start({.idle_timeout = milliseconds(100)});
    PeerStream peer = server.accept();
    peer.read_until("\r\n\r\n");
    peer.write(std::string(kChunked) + "3\r\nabc\r\n3;");
    Response response = pending.get();
    Reader reader = response.body.reader();
    CHECK(reader.read()->text() == "abc");
    std::optional<errc> error;
    while (!error) {
      peer.write(std::string(1000, 'x'));
      error = code_of([&] { reader.read_until(std::chrono::steady_clock::now()); });
    }
    CHECK(error == errc::timed_out);
  }

  TEST_CASE_TEMPLATE("Body: one that ends while paused brings its bytes first", T, PlainServer,
                     TlsServer) {
    struct Ending {
      const char* framing;
      End end;
      bool whole;  // bytes and all
      bool failed;
    };
    constexpr bool kTls = std::is_same_v<T, TlsServer>;
    constexpr const char* kLong = "Content-Length: 1000000\r\n";
    const Ending rows[] = {
        {kLong, End::fin, true, true},
        {kLong, End::cut, true, true},
        {kLong, End::rst, false, true},
        {"", End::fin, true, false},
        {"", End::cut, true, kTls && sees_cut_tls()},
        {"", End::rst, false, true},
    };
    const std::string bytes(100'000, 'x');
    for (const Ending& row : rows) {
      CAPTURE(row.framing);
      CAPTURE(static_cast<int>(row.end));
      T server(small_marks());
      PendingResponse pending = server.start();
      PeerStream peer = server.accept();
      peer.read_until("\r\n\r\n");
      peer.write(std::string("HTTP/1.1 200 OK\r\n") + row.framing + "\r\n" + bytes);
      Response response = pending.get();
      REQUIRE(eventually([&] { return server.client().stats().paused == 1; }));
      peer.end(row.end);
      Got got;
      read_to_end(response, got);
      CAPTURE(got.detail);
      CHECK(got.error == (row.failed ? std::optional(errc::truncated) : std::nullopt));
      CHECK(got.status == 200);
      CHECK(got.body.size() >= 65'536);  // what a reset has left in the kernel is its affair
      if (row.whole) CHECK(got.body == bytes);
      CHECK(got.body == bytes.substr(0, got.body.size()));
      CHECK(balanced(server.client().stats()));
    }
  }
}
