#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "json.hpp"
#include "program.hpp"
#include "support/size.hpp"
#include "temp_file.hpp"
#include "weir/harness/firehose.hpp"

using namespace weir::harness;
using namespace weir::harness::test;

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr double kSlab = 64 * 1024;  // bytes; what may be queued on top of high_water

using Words = std::vector<std::string>;

Finished run_read(const Words& args, const char* out = nullptr) {
  Words words{"read"};
  words.insert(words.end(), args.begin(), args.end());
  return run_program(words, out);
}

/// The object printed, which must be one line and all there is.
Json object_of(const Finished& finished) {
  REQUIRE(finished.out.ends_with('\n'));
  CHECK(finished.err.empty());
  return Json::parse(std::string_view(finished.out).substr(0, finished.out.size() - 1));
}

}  // namespace

TEST_SUITE("harness") {
  TEST_CASE("read: prints one JSON object with every field in order") {
    const Firehose server;
    const Finished finished = run_read({server.url("/bytes/300000?seed=4")});
    CHECK(finished.code == 0);
    const Json json = object_of(finished);
    CHECK(json.keys() ==
          "ok error detail status http url bytes sha256 seconds mb_s cpu_s peak_queued pauses "
          "resumes paused_ms rss_start rss_peak connections libcurl");
    CHECK(json["ok"].literal() == "true");
    CHECK(json["error"].is_null());
    CHECK(json["detail"].is_null());
    CHECK(json["status"].literal() == "200");
    CHECK(json["http"].text() == "1");
    CHECK(json["url"].text() == server.url("/bytes/300000?seed=4"));
    CHECK(json["bytes"].literal() == "300000");
    CHECK(json["sha256"].text() == pattern::sha256(4, 0, 300'000));
    CHECK(json["seconds"].number() > 0);
    CHECK(json["mb_s"].number() > 0);
    CHECK(json["peak_queued"].number() > 0);
    CHECK(json["rss_start"].number() > 0);
    CHECK(json["rss_peak"].number() >= json["rss_start"].number());
    CHECK(json["libcurl"].text().starts_with('7') != json["libcurl"].text().starts_with('8'));
  }

  TEST_CASE("read: the warm-up brings no body, and its connection serves the first stream") {
    const Firehose server;
    const Json json = object_of(run_read({server.url("/bytes/1000")}));
    CHECK(json["connections"].literal() == "1");
    const FirehoseStats stats = server.stats();
    CHECK(stats.requests == 2);
    CHECK(stats.connections_opened == 1);
    CHECK(stats.bytes_accepted == 1000);
  }

  TEST_CASE("read: a stall over TLS pauses the server, within the bound") {
    FirehoseOptions with_tls;
    with_tls.tls = true;
    const Firehose server(with_tls);
    const TempFile ca(server.ca_pem());
    const std::uint64_t size = weir::test::sized<std::uint64_t>(16, 64, 1024) * kMiB;
    const Finished finished = run_read({server.url("/bytes/" + std::to_string(size)), "--cacert",
                                        ca.name(), "--stall-after", "5M", "--stall-for", "0.5"});
    CHECK(finished.code == 0);
    const Json json = object_of(finished);
    CHECK(json["sha256"].text() == pattern::sha256(0, 0, size));
    CHECK(json["pauses"].number() >= 1);
    CHECK(json["pauses"].literal() == json["resumes"].literal());
    CHECK(json["paused_ms"].number() >= 100);
    CHECK(json["peak_queued"].number() <= 4 * kMiB + kSlab);
    if (!weir::test::under_sanitizer()) {
      CHECK(json["rss_peak"].number() - json["rss_start"].number() < 8 * kMiB);
    }
  }

  TEST_CASE("read: certificates are verified unless told otherwise") {
    FirehoseOptions with_tls;
    with_tls.tls = true;
    const Firehose server(with_tls);
    const Finished refused = run_read({server.url("/bytes/10")});
    CHECK(refused.code == 1);
    const Json json = object_of(refused);
    CHECK(json["ok"].literal() == "false");
    CHECK(json["error"].text() == "tls_failed");
    CHECK_FALSE(json["detail"].text().empty());
    CHECK(json["status"].is_null());
    CHECK(json["http"].is_null());
    CHECK(json["sha256"].is_null());
    CHECK(run_read({server.url("/bytes/10"), "--insecure"}).code == 0);
  }

  TEST_CASE("read: several streams have an object each, and their sums") {
    const Firehose server;
    const Finished finished = run_read({server.url("/bytes/100000"), "--streams", "3"});
    CHECK(finished.code == 0);
    const Json json = object_of(finished);
    CHECK(json["bytes"].literal() == "300000");
    CHECK(json["sha256"].text() == pattern::sha256(0, 0, 100'000));
    REQUIRE(json["streams"].size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      const Json& stream = json["streams"][i];
      CHECK(stream.keys() ==
            "ok error detail status http url bytes sha256 seconds mb_s peak_queued pauses resumes "
            "paused_ms");
      CHECK(stream["ok"].literal() == "true");
      CHECK(stream["bytes"].literal() == "100000");
    }
    CHECK(server.stats().requests == 4);
  }

  TEST_CASE("read: active readers come through while the others stall") {
    const Firehose server;
    const Finished finished = run_read({server.url("/bytes/20000000"), "--streams", "2", "--active",
                                        "2", "--stall-after", "1M", "--stall-for", "1"});
    CHECK(finished.code == 0);
    const Json json = object_of(finished);
    CHECK(json["active"].keys() == "mb_s seconds ok");
    CHECK(json["active"]["ok"].literal() == "true");
    CHECK(json["active"]["mb_s"].number() > 0);
    CHECK(json["bytes"].literal() == "40000000");
    CHECK(server.stats().requests == 5);
    CHECK(server.stats().bytes_accepted == 80'000'000);
  }

  TEST_CASE("read: one that fails among several makes the whole fail") {
    const Firehose server;
    const Finished finished =
        run_read({server.url("/bytes/100000?cut_after=5000"), "--streams", "2", "--active", "1"});
    CHECK(finished.code == 1);
    const Json json = object_of(finished);
    CHECK(json["ok"].literal() == "false");
    CHECK(json["error"].text() == "truncated");
    CHECK(json["streams"][1]["error"].text() == "truncated");
    CHECK(json["active"]["ok"].literal() == "false");
  }

  TEST_CASE("read: failures have the library's names and exit code 1") {
    const Firehose server;
    struct Row {
      std::string error;
      Words args;
    };
    for (const Row& row : {
             Row{"invalid_argument", {"nonsense"}},
             Row{"invalid_argument", {"ftp://127.0.0.1/"}},
             Row{"invalid_argument", {server.url("/bytes/9"), "-H", "Transfer-Encoding: chunked"}},
             Row{"invalid_argument", {server.url("/bytes/9"), "--high-water=9", "--low-water=9"}},
             Row{"unsupported", {server.url("/bytes/9"), "--http", "3"}},
             Row{"connection_lost", {server.url("/close")}},
             Row{"truncated", {server.url("/bytes/99999?cut_after=500")}},
             Row{"timed_out", {server.url("/bytes/9?stall_after=5"), "--timeout", "0.2"}},
             Row{"timed_out", {server.url("/bytes/9?stall_after=5"), "--idle-timeout", "0.2"}},
             Row{"consumer_stalled",
                 {server.url("/bytes/99999999"), "--stall-after=1M", "--stall-for=1",
                  "--consumer-timeout=0.1"}},
         }) {
      CAPTURE(row.error);
      CAPTURE(row.args.front());
      const Finished finished = run_read(row.args);
      CHECK(finished.code == 1);
      const Json json = object_of(finished);
      CHECK(json["ok"].literal() == "false");
      CHECK(json["error"].text() == row.error);
    }
  }

  TEST_CASE("read: an HTTP status is no failure") {
    const Firehose server;
    const Finished finished = run_read({server.url("/status/503"), "--no-decode"});
    CHECK(finished.code == 0);
    const Json json = object_of(finished);
    CHECK(json["ok"].literal() == "true");
    CHECK(json["status"].literal() == "503");
  }

  TEST_CASE("read: a body comes decoded, or as it was sent") {
    const Firehose server;
    const std::string url = server.url("/bytes/300000?seed=4&encode=gzip");
    const Json decoded = object_of(run_read({url}));
    CHECK(decoded["bytes"].literal() == "300000");
    CHECK(decoded["sha256"].text() == pattern::sha256(4, 0, 300'000));
    const Json sent = object_of(run_read({url, "--no-decode"}));
    CHECK(sent["ok"].literal() == "true");
    CHECK(sent["sha256"].text() != pattern::sha256(4, 0, 300'000));
  }

  TEST_CASE("read: a cancel that was asked for is no failure") {
    const Firehose server;
    const Finished finished = run_read({server.url("/bytes/1000000000"), "--cancel-after", "2M"});
    CHECK(finished.code == 0);
    const Json json = object_of(finished);
    CHECK(json["ok"].literal() == "true");
    CHECK(json["error"].is_null());
    CHECK(json["bytes"].number() == 2 * kMiB);
    CHECK(json["sha256"].text() == pattern::sha256(0, 0, 2 * kMiB));
  }

  TEST_CASE("read: SIGINT and SIGTERM cancel, and the object is still printed") {
    for (const int signal : {SIGINT, SIGTERM}) {
      CAPTURE(signal);
      const Firehose server;
      Program program(
          {"read", server.url("/bytes/1000000000"), "--stall-after", "1M", "--stall-for", "3600"});
      REQUIRE(server.wait_until_blocked({.bytes = kMiB}));
      program.send(signal);
      const Finished finished = program.wait();
      CHECK(finished.code == 1);
      const Json json = object_of(finished);
      CHECK(json["error"].text() == "aborted");
      CHECK(json["bytes"].number() == kMiB);
    }
  }

  TEST_CASE("read: --out gets the body") {
    const Firehose server;
    const TempFile file("what was there before");
    const Finished finished = run_read({server.url("/headers_echo"), "--out", file.name(),
                                        "--no-sha", "-H", "X-One:  1 ", "-H", "X-Empty:"});
    CHECK(finished.code == 0);
    CHECK(object_of(finished)["sha256"].is_null());
    const std::string echoed = file.content();
    CHECK(echoed.starts_with("GET /headers_echo "));
    CHECK(echoed.find("\r\nX-One: 1\r\n") != std::string::npos);
    CHECK(echoed.find("\r\nX-Empty:") != std::string::npos);
  }

  TEST_CASE("read: a file that cannot be written fails the transfer") {
    const Firehose server;
    for (const char* path : {"/dev/full", "/nonexistent/file"}) {
      CAPTURE(path);
      const Finished finished = run_read({server.url("/bytes/1000"), "--out", path});
      CHECK(finished.code == 1);
      const Json json = object_of(finished);
      CHECK(json["error"].text() == "write_failed");
      CHECK(json["detail"].text().find(path) != std::string::npos);
    }
  }

  TEST_CASE("read: a standard output that takes nothing is a failure") {
    const Firehose server;
    CHECK(run_read({server.url("/bytes/1000")}, "/dev/full").code == 1);
  }

  TEST_CASE("read: sizes have suffixes, and pace and marks are passed on") {
    const Firehose server;
    const Finished finished = run_read({"--high-water=64K", "--low-water=16K", "--read-size=1K",
                                        "--rate=100M", "--", server.url("/bytes/3000000")});
    CHECK(finished.code == 0);
    const Json json = object_of(finished);
    CHECK(json["bytes"].literal() == "3000000");
    CHECK(json["peak_queued"].number() <= 64 * 1024 + kSlab);
    CHECK(json["pauses"].number() >= 1);
  }

  TEST_CASE("read: wrong usage is told on stderr, with exit code 2") {
    for (const Words& args : std::vector<Words>{
             {},
             {"http://a/", "http://b/"},
             {"http://a/", "--bogus"},
             {"http://a/", "-x"},
             {"http://a/", "--rate"},
             {"http://a/", "--rate", "0"},
             {"http://a/", "--rate", "fast"},
             {"http://a/", "--rate", "-1"},
             {"http://a/", "--rate", "1.5"},
             {"http://a/", "--rate", "1T"},
             {"http://a/", "--rate", "K"},
             {"http://a/", "--rate", ""},
             {"http://a/", "--rate", "18446744073709551615K"},
             {"http://a/", "--streams", "0"},
             {"http://a/", "--streams", "10001"},
             {"http://a/", "--http", "1.1"},
             {"http://a/", "--timeout", "-1"},
             {"http://a/", "--timeout", "nan"},
             {"http://a/", "--timeout", "1e9"},
             {"http://a/", "--stall-after", "1"},
             {"http://a/", "--stall-for", "1"},
             {"http://a/", "--insecure=yes"},
             {"http://a/", "--out", "f", "--streams", "2"},
             {"http://a/", "--out", "f", "--active", "1"},
             {"http://a/", "-H", "no colon"},
             {"http://a/", "-H", "bad name: x"},
         }) {
      CAPTURE(args.size());
      CAPTURE(args.empty() ? std::string() : args.back());
      const Finished finished = run_read(args);
      CHECK(finished.code == 2);
      CHECK(finished.out.empty());
      CHECK(finished.err.find("usage: weir-harness read URL") != std::string::npos);
    }
  }

  TEST_CASE("read: --help is asked for, so it goes to stdout") {
    const Finished finished = run_read({"--help"});
    CHECK(finished.code == 0);
    CHECK(finished.err.empty());
    for (const char* word :
         {"--rate",    "--read-size", "--stall-after", "--stall-for",    "--cancel-after",
          "--streams", "--active",    "--http",        "--high-water",   "--low-water",
          "--cacert",  "--insecure",  "--timeout",     "--idle-timeout", "--consumer-timeout",
          "-H",        "--no-decode", "--no-sha",      "--out",          "HEAD"}) {
      CAPTURE(word);
      CHECK(finished.out.find(word) != std::string::npos);
    }
  }
}
