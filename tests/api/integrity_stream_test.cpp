#include "api/integrity_stream.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/async_fixture.hpp"
#include "api/scripted_stream.hpp"
#include "weir/body.hpp"

using namespace weir;
using namespace weir::test;
using Then = ScriptedStream::Then;

namespace {

constexpr const char* kRight = "sha256-DSLNzBDm0Enb4a9RI9UIc/38Gk9YMG5Yy2JBvpRyAU0=";  // some bytes
constexpr const char* kWrong = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

Body body_of(const std::string& integrity, Then then = Then::end) {
  const std::vector<std::string> pieces{"some", " bytes"};
  return Body(detail::verified(std::make_unique<ScriptedStream>(pieces, then), integrity));
}

}  // namespace

TEST_SUITE_BEGIN("api");

TEST_CASE("IntegrityStream: a body that matches reads as any other") {
  CHECK(body_of(kRight).text() == "some bytes");
  CHECK(body_of(kRight).bytes().size() == 10);
  Reader reader = body_of(kRight).reader();
  std::vector<std::byte> out(3);
  while (reader.read_some(out) > 0) {
  }
  CHECK(!reader.read());
  CHECK(reader.try_read().status == ReadStatus::end);
}

TEST_CASE("IntegrityStream: one that does not throws in place of its end, each time") {
  Reader reader = body_of(kWrong).reader();
  CHECK(reader.read()->text() == "some");
  CHECK(reader.read()->text() == " bytes");
  for (int i = 0; i < 2; ++i) {
    CHECK(code_of([&] { reader.read(); }) == errc::integrity_failed);
    CHECK(code_of([&] { reader.try_read(); }) == errc::integrity_failed);
  }
  CHECK(code_of([] { body_of(kWrong).text(); }) == errc::integrity_failed);
  CHECK(code_of([] { body_of(kWrong).bytes(); }) == errc::integrity_failed);
  auto bodies = body_of(kWrong).tee();
  CHECK(code_of([&] { bodies.first.text(); }) == errc::integrity_failed);
  CHECK(code_of([&] { bodies.second.text(); }) == errc::integrity_failed);
}

TEST_CASE("IntegrityStream: a failure of the body is told as that") {
  Reader reader = body_of(kWrong, Then::fail).reader();
  CHECK(reader.read());
  CHECK(reader.read());
  CHECK(code_of([&] { reader.read(); }) == errc::truncated);
}

TEST_CASE("IntegrityStream: nothing is checked where nothing is known") {
  CHECK(body_of("").text() == "some bytes");
  CHECK(body_of("md5-abc").text() == "some bytes");
}

TEST_CASE("fetch: a response is checked as RequestInit::integrity says, by coroutines too") {
  for (const bool right : {true, false}) {
    CAPTURE(right);
    AsyncFixture fixture;
    auto [reader, transfer] = fixture.open({.integrity = right ? kRight : kWrong});
    auto all = read_to_end(reader);
    fixture.send(transfer, "some ");
    fixture.send(transfer, "bytes");
    fixture.end(transfer);
    if (right) {
      CHECK(all.get() == "some bytes");
    } else {
      CHECK(code_of([&] { all.get(); }) == errc::integrity_failed);
    }
  }
}

TEST_SUITE_END();
