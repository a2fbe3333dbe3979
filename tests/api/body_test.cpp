#include "weir/body.hpp"

#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <future>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "api/scripted_stream.hpp"
#include "support/sweep.hpp"

using namespace weir;
using namespace weir::test;
using Then = ScriptedStream::Then;

namespace {

static_assert(!std::is_copy_constructible_v<Body> && !std::is_copy_assignable_v<Body>);
static_assert(std::is_nothrow_move_constructible_v<Body>);
static_assert(std::is_nothrow_move_assignable_v<Body>);

constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

std::vector<std::byte> as_bytes(std::string_view text) {
  std::vector<std::byte> bytes;
  for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
  return bytes;
}

/// The ways to take a body.
const std::array<std::function<void(Body&)>, 3> kTakers = {
    [](Body& body) { static_cast<void>(body.reader()); },
    [](Body& body) { body.text(); },
    [](Body& body) { body.bytes(); },
};

Error error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  FAIL("nothing was thrown");
  return Error(Failure{});
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_SUITE("api") {
  TEST_CASE("Body: text and bytes come back as they were given") {
    const std::string nul("a\0b", 3);
    CHECK(Body("abc").text() == "abc");
    CHECK(Body(nul).text() == nul);
    CHECK(Body(as_bytes(nul)).text() == nul);
    CHECK(Body(nul).bytes() == as_bytes(nul));
    CHECK(Body(as_bytes("\xFF\x80")).bytes() == as_bytes("\xFF\x80"));
    CHECK(Body("").text().empty());
    CHECK(Body(std::vector<std::byte>()).bytes().empty());
  }

  TEST_CASE("Body: length() of memory is its size") {
    CHECK(Body("abc").length() == 3);
    CHECK(Body("").length() == 0);
    CHECK(Body(as_bytes("ab")).length() == 2);
  }

  TEST_CASE("Body: none at all has no length, reads as empty, and is taken once all the same") {
    CHECK(!Body().length());
    CHECK(!Body(static_cast<const char*>(nullptr)).length());
    for (const auto& taker : kTakers) {
      Body body;
      CHECK(!body.used());
      taker(body);
      CHECK(body.used());
      CHECK(code_of([&] { taker(body); }) == errc::body_used);
    }
    CHECK(Body().text().empty());
    CHECK(Body().bytes().empty());
    CHECK(!Body().reader().read());
  }

  TEST_CASE("Body: memory is read in pieces of at most 64 KiB") {
    std::string all(200'001, '\0');
    for (std::size_t at = 0; at < all.size(); ++at) all[at] = static_cast<char>(at % 251);
    Body body(all);
    Reader reader = body.reader();
    std::string seen;
    for (const Chunk& chunk : reader) {
      CHECK(chunk.size() <= 65'536);
      seen += chunk.text();
      CHECK(reader.stats().received == seen.size());
      CHECK(reader.stats().drained == seen.size());
    }
    CHECK(seen == all);
  }

  TEST_CASE("Body: a second taker gets body_used, whoever was first") {
    for (const auto& first : kTakers) {
      for (const auto& second : kTakers) {
        Body body = ScriptedBody({"abc"}).body();
        CHECK(!body.used());
        first(body);
        CHECK(body.used());
        CHECK(code_of([&] { second(body); }) == errc::body_used);
        CHECK(code_of([&] { second(body); }) == errc::body_used);
      }
    }
  }

  TEST_CASE("Body: one that was moved from is used; one that held nothing still does") {
    Body from("abc");
    Body to = std::move(from);
    CHECK(from.used());  // NOLINT: that is the point
    CHECK(!from.length());
    CHECK(from.stats().received == 0);
    from.cancel();
    for (const auto& taker : kTakers) CHECK(code_of([&] { taker(from); }) == errc::body_used);
    from = std::move(to);
    CHECK(!from.used());
    CHECK(from.text() == "abc");

    Body none;
    Body other = std::move(none);
    CHECK(!none.used());  // NOLINT
    CHECK(!other.used());
    Body spent = std::move(from);
    CHECK(spent.used());
    CHECK(from.used());  // NOLINT
  }

  TEST_CASE("Body: its stream goes with it, or when another is assigned") {
    ScriptedBody first({"ab"});
    ScriptedBody second({"cd"});
    {
      Body body = first.body();
      body = second.body();
      CHECK(first.log->destroyed);
      CHECK(!second.log->destroyed);
      Body& same = body;
      body = std::move(same);
      CHECK(body.text() == "cd");
    }
    CHECK(second.log->destroyed);
  }

  TEST_CASE("Body: text() and bytes() put all pieces together") {
    const std::string all = "The quick brown fox jumps over the lazy dog";
    sweep(all, [&](const auto& pieces) {
      const std::vector<std::string> script(pieces.begin(), pieces.end());
      CHECK(ScriptedBody(script).body().text() == all);
      CHECK(ScriptedBody(script).body().bytes() == as_bytes(all));
      CHECK(ScriptedBody(script).body().text(all.size()) == all);
      CHECK(ScriptedBody(script).body().text(kNoLimit) == all);
      CHECK(code_of([&] { ScriptedBody(script).body().text(all.size() - 1); }) == errc::too_large);
      CHECK(code_of([&] { ScriptedBody(script).body().bytes(0); }) == errc::too_large);
    });
    CHECK(ScriptedBody({}).body().text(0).empty());
  }

  TEST_CASE("Body: text() removes one byte order mark, wherever the pieces break") {
    sweep(
        "\xEF\xBB\xBF\xEF\xBB\xBF"
        "abc",
        [](const auto& pieces) {
          const std::vector<std::string> script(pieces.begin(), pieces.end());
          CHECK(ScriptedBody(script).body().text() ==
                "\xEF\xBB\xBF"
                "abc");
          CHECK(ScriptedBody(script).body().bytes().size() == 9);
        });
    CHECK(Body("\xEF\xBB\xBF").text().empty());
    CHECK(Body("\xEF\xBB").text() == "\xEF\xBB");
    CHECK(Body("a\xEF\xBB\xBF").text() == "a\xEF\xBB\xBF");
  }

  TEST_CASE("Body: a limit that is passed cancels the transfer and is named, with the size seen") {
    ScriptedBody source({"abc", "def", "ghi"});
    Body body = source.body();
    const Error error = error_of([&] { body.text(5); });
    CHECK(error.code() == errc::too_large);
    CHECK(contains(error.detail(), "text(limit = 5)"));
    CHECK(contains(error.detail(), "6 bytes"));
    CHECK(error.bytes_received() == 6);
    CHECK(source.log->cancels == 1);
    CHECK(source.log->asked.size() == 2);
    CHECK(code_of([&] { body.text(); }) == errc::body_used);
  }

  TEST_CASE("Body: a length above the limit is refused before anything is read") {
    ScriptedBody source({"abc"});
    source.stream->claimed = 3;
    Body body = source.body();
    const Error error = error_of([&] { body.bytes(2); });
    CHECK(error.code() == errc::too_large);
    CHECK(contains(error.detail(), "bytes(limit = 2)"));
    CHECK(contains(error.detail(), "3"));
    CHECK(source.log->asked.empty());
    CHECK(source.log->cancels == 1);
  }

  TEST_CASE("Body: a claimed length allocates 1 MiB at most") {
    ScriptedBody source({"abc"});
    source.stream->claimed = std::size_t{64} << 20;
    const auto bytes = source.body().bytes();
    CHECK(bytes == as_bytes("abc"));
    CHECK(bytes.capacity() <= std::size_t{1} << 20);
  }

  TEST_CASE("Body: what it collects never has room for more than the limit or the length") {
    const std::vector<std::string> pieces(100, std::string(1'000, 'x'));
    CHECK(ScriptedBody(pieces).body().bytes(100'001).capacity() <= 100'001);
    ScriptedBody source(pieces);
    source.stream->claimed = 100'000;
    CHECK(source.body().bytes().capacity() == 100'000);
  }

  TEST_CASE("Body: text() throws the stream's failure, and cancels it") {
    ScriptedBody source({"abc"}, Then::fail);
    CHECK(code_of([&] { source.body().text(); }) == errc::truncated);
    CHECK(source.log->cancels == 1);
  }

  TEST_CASE("Body: cancel() before, while and after it is read") {
    SUBCASE("before") {
      Body body("abc");
      body.cancel();
      CHECK(!body.used());
      CHECK(code_of([&] { body.text(); }) == errc::aborted);
      Body other("abc");
      other.cancel();
      CHECK(code_of([&] { other.reader().read(); }) == errc::aborted);
    }
    SUBCASE("while text() waits in another thread") {
      ScriptedBody source({"abc"}, Then::hang);
      ScriptedStream& stream = *source.stream;
      Body body = source.body();
      auto code = std::async(std::launch::async, [&] { return code_of([&] { body.text(); }); });
      stream.wait_until_waiting();
      body.cancel();
      CHECK(code.get() == errc::aborted);
      CHECK(body.used());
    }
    SUBCASE("between reads") {
      Body body("abc");
      Reader reader = body.reader();
      reader.cancel();
      CHECK(code_of([&] { reader.read(); }) == errc::aborted);
      CHECK(code_of([&] { reader.read(); }) == errc::aborted);
    }
    SUBCASE("after the end") {
      Body body("abc");
      Reader reader = body.reader();
      reader.read();
      CHECK(!reader.read());
      reader.cancel();
      CHECK(!reader.read());
    }
  }

  TEST_CASE("Body: stats() still tells after text()") {
    Body body = ScriptedBody({"abc", "d"}).body();
    CHECK(body.stats().received == 0);
    body.text();
    CHECK(body.stats().received == 4);
    CHECK(body.stats().drained == 4);
  }
}
