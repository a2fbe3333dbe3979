#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "contract/raw_server.hpp"

using namespace weir;
using namespace weir::test;

// Heads and trailers that are too large, or never end, and what is left out of trailers.

namespace {

constexpr const char* kOk = "HTTP/1.1 200 OK\r\n";
constexpr const char* kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

ClientOptions limited(std::size_t bytes, int fields) {
  ClientOptions options;
  options.max_header_bytes = bytes;
  options.max_header_fields = fields;
  return options;
}

std::string fields(int count, std::size_t size = 1) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "A: " + std::string(size, 'x') + "\r\n";
  return text;
}

/// What comes of `start` and as much of `part` as the client takes, 64 MiB at most.
template <class T>
Got flooded(T& server, const std::string& start, const std::string& part) {
  PendingResponse pending = server.start();
  {
    PeerStream peer = server.accept();
    peer.read_until("\r\n\r\n");
    bool open = peer.write(start);
    for (std::size_t sent = 0; open && sent < (std::size_t{64} << 20); sent += part.size()) {
      open = peer.write(part);
    }
    CHECK(!open);
  }
  return finish(pending);
}

void check_too_large(const Got& got, std::string_view option) {
  CAPTURE(got.detail);
  CHECK(got.error == errc::too_large);
  CHECK(contains(got.detail, option));
  CHECK(!got.retryable);
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("fetch: a head at its limits is read, one beyond them is too_large", T,
                     PlainServer, TlsServer) {
    {
      T server(limited(65'536, 10));
      CHECK(server.get(kOk + fields(10) + "\r\n").headers.size() == 10);
      check_too_large(server.get(kOk + fields(11) + "\r\n"),
                      "max_header_fields (10) exceeded: 11 fields");
    }
    T server(limited(1000, 256));
    const std::string head = std::string(kOk) + "A: \r\n\r\n";
    const std::string value(1000 - head.size(), 'x');
    CHECK(server.get(std::string(kOk) + "A: " + value + "\r\n\r\n").headers.get("a") == value);
    check_too_large(server.get(std::string(kOk) + "A: " + value + "x\r\n\r\n"),
                    "max_header_bytes (1000) exceeded: 1001 bytes");
  }

  TEST_CASE_TEMPLATE("fetch: heads that never end are too_large while they arrive", T, PlainServer,
                     TlsServer) {
    struct Row {
      std::string_view what;
      std::string start;
      std::string part;
      std::string_view option;
    };
    const Row rows[] = {
        {"small fields", kOk, fields(1000), "max_header_fields (256)"},
        {"large fields", kOk, fields(10, 10'000), "max_header_bytes (65536)"},
        {"a folded line", std::string(kOk) + "A: b\r\n", " " + std::string(1000, 'x') + "\r\n",
         "max_header_bytes (65536)"},
        {"one line", std::string(kOk) + "A: ", std::string(10'000, 'x'), "max_header_bytes"},
        {"a status line", "HTTP/1.1 200 ", std::string(10'000, 'x'), "max_header_bytes"},
        {"interim responses", "", "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n", "max_header_"},
        {"interim responses of nothing", "", "HTTP/1.1 100 Continue\r\n\r\n", "max_header_bytes"},
    };
    for (const Row& row : rows) {
      CAPTURE(row.what);
      T server;
      const Got got = flooded(server, row.start, row.part);
      check_too_large(got, row.option);
      CHECK(got.status == 0);
    }
  }

  TEST_CASE_TEMPLATE("Body: trailers that are too large, or never end, come after its bytes", T,
                     PlainServer, TlsServer) {
    struct Row {
      std::string_view what;
      std::string part;
      std::string_view option;
    };
    const Row rows[] = {
        {"many", fields(1000), "max_header_fields (256)"},
        {"large ones", fields(10, 4000), "max_header_bytes (65536)"},
        {"one line", std::string(10'000, 'x'), "max_header_bytes"},
    };
    for (const Row& row : rows) {
      CAPTURE(row.what);
      T server;
      const Got got = flooded(server, std::string(kChunked) + "4\r\nbody\r\n0\r\n", row.part);
      check_too_large(got, row.option);
      CHECK(got.body == "body");
      CHECK(got.status == 200);
    }
  }

  TEST_CASE_TEMPLATE("Reader: trailers that are not allowed there are dropped", T, PlainServer,
                     TlsServer) {
    T server;
    const Got got = server.get(
        std::string(kChunked) +
        "4\r\nbody\r\n0\r\nChecksum: 17\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\n"
        "Set-Cookie: a=b\r\nAuthorization: c\r\nContent-Encoding: br\r\nHost: d\r\n"
        "Checksum: 18\r\n\r\n");
    CHECK(!got.error);
    CHECK(got.body == "body");
    CHECK(got.trailers == Headers{{"Checksum", "17"}, {"Checksum", "18"}});
    CHECK(!got.headers.has("checksum"));
  }

  TEST_CASE_TEMPLATE("Reader: trailers over HTTP/2 come by the same rules", T, H2PlainServer,
                     H2TlsServer) {
    T server;
    PendingResponse pending = server.start();
    H2Peer peer = server.accept();
    const std::uint32_t id = peer.request();
    peer.head(id, 200);
    peer.data(id, "body");
    peer.trailers(id, {{"checksum", "17"}, {"set-cookie", "a=b"}, {"checksum", "18"}});
    const Got got = finish(pending);
    CHECK(!got.error);
    CHECK(got.body == "body");
    CHECK(got.trailers == Headers{{"checksum", "17"}, {"checksum", "18"}});
  }
}
