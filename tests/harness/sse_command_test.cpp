#include <doctest/doctest.h>
#include <signal.h>

#include <sstream>
#include <string>
#include <vector>

#include "json.hpp"
#include "program.hpp"
#include "temp_file.hpp"
#include "weir/harness/firehose.hpp"

using namespace weir::harness;
using namespace weir::harness::test;

namespace {

using Words = std::vector<std::string>;

Words words(Words args) {
  args.insert(args.begin(), "sse");
  return args;
}

Finished run_sse(const Words& args, const char* out = nullptr) {
  return run_program(words(args), out);
}

std::vector<Json> lines_of(const Finished& finished) {
  std::vector<Json> all;
  std::istringstream in(finished.out);
  for (std::string line; std::getline(in, line);) all.push_back(Json::parse(line));
  CHECK(finished.out.ends_with('\n'));
  CHECK(finished.err.empty());
  return all;
}

bool is_event(const Json& line) { return line.keys() == "event"; }

/// The events, or all else: two threads print, each its own in order.
std::vector<Json> only(bool events, std::vector<Json> lines) {
  std::erase_if(lines, [&](const Json& line) { return is_event(line) != events; });
  return lines;
}

/// What happened, in order: "connecting open 0 1 lost:truncated ... closed".
std::string story_of(const std::vector<Json>& lines) {
  std::string all;
  for (const Json& line : lines) {
    const std::string kind = line.keys();
    if (kind == "event") {
      all += line["event"]["data"].text();
    } else if (kind == "state") {
      all += line["state"].text();
    } else if (kind == "state error detail status") {
      all += "lost:" + line["error"].text();
    } else if (kind == "comment") {
      all += ':' + line["comment"].text();
    } else if (kind == "timeout") {
      all += "timeout";
    } else {
      continue;
    }
    all += ' ';
  }
  return all;
}

}  // namespace

TEST_SUITE("harness") {
  TEST_CASE("sse: prints each event, each change of state, and a summary") {
    const Firehose server;
    const Finished finished = run_sse(
        {server.url("/sse?events=3&ids=1&close_after=1"), "--retry-ms=1", "--last-event-id", "0"});
    CHECK(finished.code == 0);
    const auto lines = lines_of(finished);
    const auto events = only(true, lines);
    const auto others = only(false, lines);
    CHECK(story_of(events) == "1 2 ");
    CHECK(story_of(others) == "connecting open lost:truncated open lost:truncated closed ");
    CHECK(events[0]["event"].keys() == "type data id");
    CHECK(events[0]["event"]["type"].text() == "message");
    CHECK(events[0]["event"]["id"].text() == "1");
    CHECK_FALSE(others[2]["detail"].is_null());
    const Json& last = lines.back();
    CHECK(last.keys() ==
          "events dropped comments reconnects bytes pauses error detail status libcurl");
    CHECK(last["events"].number() == 2);
    CHECK(last["dropped"].number() == 0);
    CHECK(last["comments"].is_null());
    CHECK(last["reconnects"].number() == 2);
    CHECK(last["bytes"].number() == 2 * 15);
    CHECK(last["error"].is_null());
  }

  TEST_CASE("sse: comments are printed in their place, if they are asked for") {
    const Firehose server;
    const std::string url = server.url("/sse?events=0&heartbeat_ms=1");
    Program program(words({url, "--comments"}));
    REQUIRE(server.wait_for([](const FirehoseStats& now) {
      return !now.bodies.empty() && now.bodies.back().bytes_accepted >= 13 * 5;
    }));
    program.send(SIGINT);
    const Finished finished = program.wait();
    CHECK(finished.code == 1);
    const auto lines = lines_of(finished);
    CHECK(story_of(lines).starts_with("connecting open :heartbeat :heartbeat "));
    CHECK(lines.back()["error"].text() == "aborted");
    CHECK(lines.back()["comments"].number() >= 2);
    CHECK(lines.back()["comments"].number() == static_cast<double>(lines.size() - 4));
  }

  TEST_CASE("sse: --data is POSTed, once with --reconnect never") {
    const Firehose server;
    for (const char* how : {"{}", "@"}) {
      const TempFile data("{\"a\": 1}");
      std::string value = how;
      if (value == "@") value += data.name();
      const Finished finished =
          run_sse({server.url("/chat?tokens=2"), "--data", value, "--reconnect", "never"});
      CHECK(finished.code == 0);
      const auto lines = lines_of(finished);
      REQUIRE(lines.size() == 7);
      CHECK(lines[4]["event"]["data"].text() == "[DONE]");
    }
    CHECK(server.stats().requests == 2);
  }

  TEST_CASE("sse: --max-events ends it well, whatever follows") {
    const Firehose server;
    const Finished finished = run_sse({server.url("/sse"), "--max-events", "2", "--delay-ms=1"});
    CHECK(finished.code == 0);
    CHECK(story_of(lines_of(finished)) == "connecting open 0 1 closed ");
  }

  TEST_CASE("sse: what cannot be used is told with its errc name and status") {
    const Firehose server;
    const Finished finished = run_sse({server.url("/bytes/5")});
    CHECK(finished.code == 1);
    auto lines = lines_of(finished);
    CHECK(story_of(lines) == "connecting closed ");
    CHECK(lines.back()["error"].text() == "bad_status");
    CHECK(lines.back()["status"].number() == 200);
    CHECK(lines.back()["detail"].text() == "content type application/octet-stream");
    const Finished dropping = run_sse({server.url("/sse?burst=1&events=9"), "--overflow=fail",
                                       "--max-pending=1", "--reconnect=never", "--delay-ms=1000"});
    CHECK(dropping.code == 1);
    CHECK(lines_of(dropping).back()["error"].text() == "too_large");
  }

  TEST_CASE("sse: a wait with a deadline says when it passed, and loses nothing") {
    const Firehose server;
    const Finished finished = run_sse({server.url("/sse?interval_ms=50&events=3"),
                                       "--read-timeout-ms", "1", "--max-events", "3"});
    CHECK(finished.code == 0);
    const auto lines = lines_of(finished);
    CHECK(story_of(only(true, lines)) == "0 1 2 ");
    const std::string others = story_of(only(false, lines));
    CHECK(others.find("timeout ") != others.npos);
  }

  TEST_CASE("sse: a silent connection is lost after --idle-timeout, and made again") {
    const Firehose server;
    const Finished finished =
        run_sse({server.url("/sse?events=2&ids=1&close_after=1&swallow_fin=1"), "--idle-timeout",
                 "0.05", "--retry-ms", "1"});
    CHECK(finished.code == 0);
    const auto lines = lines_of(finished);
    CHECK(story_of(only(true, lines)) == "0 1 ");
    CHECK(story_of(only(false, lines)) ==
          "connecting open lost:timed_out open lost:timed_out closed ");
  }

  TEST_CASE("sse: a slow consumer drops events by policy, and pauses the server without") {
    const Firehose server;
    const std::string url = server.url("/sse?burst=1&size=1000&events=2000");
    const Finished dropping = run_sse({url, "--overflow", "drop_oldest", "--max-pending", "5",
                                       "--reconnect", "never", "--delay-ms", "20"});
    CHECK(dropping.code == 0);
    const auto figures = lines_of(dropping).back();
    CHECK(figures["dropped"].number() > 0);
    CHECK(figures["events"].number() + figures["dropped"].number() == 2000);
    const std::string endless = server.url("/sse?burst=1&size=60000&tag=paused");
    Program program(words({endless, "--delay-ms=3600000"}));
    REQUIRE(server.wait_until_blocked({.bodies = 1}));
    program.send(SIGTERM);
    const Finished finished = program.wait();
    CHECK(finished.code == 1);
    CHECK(lines_of(finished).back()["pauses"].number() >= 1);
  }

  TEST_CASE("sse: a standard output that takes nothing is a failure") {
    const Firehose server;
    CHECK(run_sse({server.url("/sse")}, "/dev/full").code == 1);
    CHECK(run_sse({server.url("/sse?events=0&heartbeat_ms=1"), "--comments"}, "/dev/full").code ==
          1);
  }

  TEST_CASE("sse: wrong usage is told on stderr, with exit code 2") {
    for (const Words& args : std::vector<Words>{
             {},
             {"http://a/", "http://b/"},
             {"http://a/", "--bogus"},
             {"http://a/", "--reconnect", "maybe"},
             {"http://a/", "--overflow", "drop"},
             {"http://a/", "--data", "@/nonexistent"},
             {"http://a/", "--data", "@/tmp"},
             {"http://a/", "--max-events", "0"},
             {"http://a/", "--retry-ms", "0"},
             {"http://a/", "--read-timeout-ms", "0"},
             {"http://a/", "--idle-timeout", "-1"},
             {"http://a/", "--http", "1.1"},
             {"http://a/", "-H", "no colon"},
             {"http://a/", "--comments=yes"},
         }) {
      CAPTURE(args.empty() ? std::string() : args.back());
      const Finished finished = run_sse(args);
      CHECK(finished.code == 2);
      CHECK(finished.out.empty());
      CHECK(finished.err.find("usage: weir-harness sse URL") != std::string::npos);
    }
  }

  TEST_CASE("sse: --help is asked for, so it goes to stdout") {
    const Finished finished = run_sse({"--help"});
    CHECK(finished.code == 0);
    CHECK(finished.err.empty());
    for (const char* word :
         {"--method", "--data", "-H", "--reconnect", "--idle-timeout", "--max-events", "--delay-ms",
          "--overflow", "--last-event-id", "--retry-ms", "--read-timeout-ms", "--comments",
          "--cacert", "--insecure", "--http", "--max-pending"}) {
      CAPTURE(word);
      CHECK(finished.out.find(word) != std::string::npos);
    }
  }
}
