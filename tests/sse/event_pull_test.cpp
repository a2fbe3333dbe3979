#include "sse/event_pull.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/scripted_stream.hpp"

using namespace weir;
using namespace weir::test;
using Then = ScriptedStream::Then;

namespace {

std::unique_ptr<ScriptedStream> stream_of(std::vector<std::string> pieces, Then then = Then::end) {
  return std::make_unique<ScriptedStream>(std::move(pieces), then);
}

}  // namespace

TEST_SUITE_BEGIN("sse");

TEST_CASE("EventPull: goes on with another connection, the last id and the time to wait kept") {
  const auto wait = flow::Wait::for_ever();
  sse::EventPull pull(stream_of({"retry:9\ndata:0\n\nid:1\ndata:a\n\ndata:lost\n"}, Then::fail), {},
                      "before");
  CHECK(pull.pull(wait).event.id == "before");
  CHECK(pull.pull(wait).event.data == "a");
  CHECK(code_of([&] { pull.pull(wait); }) == errc::truncated);
  pull.reconnect(
      stream_of({"\xEF\xBB\xBF"
                 "data:b\n\n"}));
  const EventResult result = pull.pull(wait);
  CHECK(result.event.data == "b");
  CHECK(result.event.id == "1");
  CHECK(pull.retry() == std::chrono::milliseconds(9));
  CHECK(pull.pull(wait).status == ReadStatus::end);
  pull.cancel();
  CHECK(pull.pull(wait).status == ReadStatus::end);
  pull.reconnect(stream_of({"data:c\n\n"}, Then::hang));
  CHECK(pull.pull(wait).event.data == "c");
}

TEST_CASE("EventPull: stops at the comments, in their order among the events") {
  std::vector<std::string> told;
  sse::EventPull pull(stream_of({": one\ndata:1\n\n:tw", "o\n:three\n\ndata:2\n\n"}), {});
  pull.report_comments();
  while (true) {
    const EventResult result = pull.pull(flow::Wait::for_ever());
    if (result) told.push_back("event " + result.event.data);
    if (result.status == ReadStatus::end) break;
    if (result) continue;
    CHECK(pull.ready());
    CHECK(pull.pull(flow::Wait::for_ever()).status == ReadStatus::pending);
    told.push_back(pull.take_comment());
    CHECK_FALSE(pull.has_comment());
  }
  CHECK(told == std::vector<std::string>{"one", "event 1", "two", "three", "event 2"});
}

TEST_SUITE_END();
