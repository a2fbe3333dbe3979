#include "sse/parser.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "sse/chunkings.hpp"
#include "support/size.hpp"
#include "support/sweep.hpp"

using namespace weir;
using namespace weir::test;
using namespace std::string_literals;
using std::chrono::milliseconds;
using Item = sse::Parser::Item;

namespace {

struct Row {
  const char* name;
  std::string stream;
  std::vector<Told::Item> items;
  std::string last_event_id{};
  std::optional<milliseconds> retry{};
};

// Those that the web platform's tests have (eventsource/format-*), and what they leave out.
const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      {"nothing", "", {}},
      {"format-bom",
       "\xEF\xBB\xBF"
       "data:1\n\ndata:2\n\ndata:3\n\n",
       {event("1"), event("2"), event("3")}},
      {"format-bom-2",
       "\xEF\xBB\xBF\xEF\xBB\xBF"
       "data:1\n\ndata:2\n\ndata:3\n\n",
       {event("2"), event("3")}},
      {"BOM in the middle",
       "data:1\n\n\xEF\xBB\xBF"
       "data:2\n\ndata:\xEF\xBB\xBF\n\n",
       {event("1"), event("\xEF\xBB\xBF")}},
      {"BOM alone", "\xEF\xBB\xBF\n\ndata\n\n", {event("")}},
      {"half a BOM",
       "\xEF\xBB"
       "data:1\n\ndata:2\n\n",
       {event("2")}},
      {"BOM, then a comment", "\xEF\xBB\xBF:c\n", {comment("c")}},
      {"format-comments",
       "data:1\r:\0\n:\r\ndata:2\n:xxxxxxxxxx\rdata:3\n:data:fail\r:xxx\ndata:4\n\n"s,
       {comment("\0"s), comment(""), comment("xxxxxxxxxx"), comment("data:fail"), comment("xxx"),
        event("1\n2\n3\n4")}},
      {"comment's spaces", ":  two\n: one\n", {comment(" two"), comment("one")}},
      {"format-data-before-final-empty-line",
       "retry:1000\ndata:test1\n\nid:test\ndata:test2",
       {event("test1")},
       "",
       milliseconds(1000)},
      {"the end in an event", "data:1\n\ndata:2\n", {event("1")}},
      {"the end in an id", "id:1\n\nid:2\n", {}, "1"},
      {"format-field-data",
       "data:\n\ndata\ndata\n\ndata:test\n\n",
       {event(""), event("\n"), event("test")}},
      {"format-field-event", "event:test\ndata:x\n\ndata:x\n\n", {event("x", "test"), event("x")}},
      {"format-field-event-empty", "event: \ndata:data\n\n", {event("data")}},
      {"event without data", "event:a\n\ndata:1\n\n", {event("1")}},
      {"two types", "event:a\nevent:b\ndata:1\n\n", {event("1", "b")}},
      {"type taken back", "event:a\nevent\ndata:1\n\n", {event("1")}},
      {"format-field-id",
       "id: 1\ndata:x\n\ndata:y\n\nid\ndata:z\n\n",
       {event("x", "message", "1"), event("y", "message", "1"), event("z")}},
      {"format-field-id-3",
       "id: 1\ndata:a\n\nid\n\ndata:b\n\n",
       {event("a", "message", "1"), event("b")}},
      {"format-field-id-null",
       "id:1\ndata:a\n\nid:2\0x\ndata:b\n\n"s,
       {event("a", "message", "1"), event("b", "message", "1")},
       "1"},
      {"id without data", "id:7\n\ndata:b\n\n", {event("b", "message", "7")}, "7"},
      {"id after data", "data:b\nid:8\n\n", {event("b", "message", "8")}, "8"},
      {"format-field-parsing",
       "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\r"
       "data:\r\n data:32\ndata:4\n\n"s,
       {event("\0\n 2\n1\n3\n\n4"s)}},
      {"format-field-retry", "retry:03000\ndata:x\n\n", {event("x")}, "", milliseconds(3000)},
      {"format-field-retry-bogus",
       "retry:3000\nretry:1000x\ndata:x\n\n",
       {event("x")},
       "",
       milliseconds(3000)},
      {"format-field-retry-empty", "retry\nretry:\ndata:test\n\n", {event("test")}},
      {"retry with signs", "retry:-1\nretry:+1\nretry: 1 \nretry:1.5\nretry:0x1\n", {}},
      {"retry of nothing", "retry:0\n", {}, "", milliseconds(0)},
      {"retry above all",
       "retry:99999999999999999999999999999999999999\n",
       {},
       "",
       milliseconds(2147483647)},
      {"format-field-unknown",
       "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
       {comment("thisisacommentyay"), event("test\n\ntest")}},
      {"names that are nearly one", "dat:1\ndataa:1\ndataa\nDATA:1\ndata :1\ni:1\nidx\n\n", {}},
      {"format-leading-space", "data:\ttest\rdata: \ndata:test\n\n", {event("\ttest\n\ntest")}},
      {"two spaces", "data:  a\n\ndata: \n\n", {event(" a"), event("")}},
      {"colons in the value", "data::a:b\n\n", {event(":a:b")}},
      {"format-newlines", "data:test\r\ndata\ndata:test\r\n\r", {event("test\n\ntest")}},
      {"every kind of empty line",
       "data:1\n\ndata:2\r\rdata:3\r\n\r\ndata:4\n\rdata:5\r\n\n",
       {event("1"), event("2"), event("3"), event("4"), event("5")}},
      {"many empty lines", "\n\n\r\r\r\n\r\ndata:1\n\n\n\n\r\n", {event("1")}},
      {"format-null-character", "data:\0\n\n\n\n"s, {event("\0"s)}},
      {"format-utf-8", "data:ok\xE2\x80\xA6\n\n", {event("ok\xE2\x80\xA6")}},
      {"ill-formed UTF-8",
       "data:\xFF\xE2\x82\n\nevent:\xC3\ndata:\xF0\x9F\x98x\nid:\x80\n\n:\xED\n",
       {event("\xEF\xBF\xBD\xEF\xBF\xBD"), event("\xEF\xBF\xBDx", "\xEF\xBF\xBD", "\xEF\xBF\xBD"),
        comment("\xEF\xBF\xBD")},
       "\xEF\xBF\xBD"},
      {"ill-formed, then repaired, in two lines",
       "data:a\xE2\ndata:\x82\xAC"
       "b\n\n",
       {event("a\xEF\xBF\xBD\n\xEF\xBF\xBD\xEF\xBF\xBD"
              "b")}},
      {"a chat",
       "data: {\"delta\":\"Hi\"}\n\ndata: [DONE]\n\n",
       {event("{\"delta\":\"Hi\"}"), event("[DONE]")}},
  };
  return all;
}

/// A stream of the bytes that matter, in any order.
std::string random_stream(std::mt19937& random) {
  static const std::vector<std::string_view> words = {"data:",
                                                      "data",
                                                      "data: ",
                                                      "event:",
                                                      "id:",
                                                      "id",
                                                      "retry:",
                                                      ":",
                                                      " ",
                                                      "\n",
                                                      "\n",
                                                      "\r",
                                                      "\r\n",
                                                      "\n\n",
                                                      "x",
                                                      "12",
                                                      std::string_view("\0", 1),
                                                      "\xEF\xBB\xBF",
                                                      "\xE2\x82\xAC",
                                                      "\xE2",
                                                      "\x82",
                                                      "\xF0\x9F\x98\x80",
                                                      "\xFF",
                                                      "a longer piece of text that is not short"};
  std::string stream;
  for (auto count = random() % 40; count > 0; --count) stream += words[random() % words.size()];
  return stream;
}

std::string escaped(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    constexpr std::string_view kDigits = "0123456789abcdef";
    if (byte >= ' ' && byte <= '~') {
      out += c;
    } else {
      out += {'\\', 'x', kDigits[byte / 16], kDigits[byte % 16]};
    }
  }
  return out;
}

void check_chunkings(std::string_view stream, const SseLimits& limits, std::mt19937& random) {
  const auto pieces = disagreement(stream, limits, random);
  if (pieces.empty()) return;
  std::string shown;
  for (const auto piece : pieces) shown.append("[").append(escaped(piece)).append("]");
  CAPTURE(shown);
  CHECK(pieces.empty());
}

struct Worked {
  std::uint64_t work = 0;
  std::size_t events = 0;
};

/// `repeats` times `stream`, `piece` bytes at a time.
Worked work_of(std::string_view stream, std::size_t repeats, std::size_t piece) {
  sse::Parser parser;
  Worked worked;
  const auto pieces = cut(stream, piece);
  for (std::size_t i = 0; i < repeats; ++i) {
    for (const auto bytes : pieces) {
      parser.feed(bytes);
      while (parser.next() == Item::event) ++worked.events;
    }
  }
  worked.work = parser.work();
  return worked;
}

}  // namespace

TEST_SUITE_BEGIN("sse");

TEST_CASE("Parser: does what the standard says, in pieces of any size") {
  for (const Row& row : rows()) {
    CAPTURE(row.name);
    sweep(row.stream, [&](const std::vector<std::string_view>& pieces) {
      const Told told = parse(pieces);
      CHECK(told.items == row.items);
      CHECK(told.last_event_id == row.last_event_id);
      CHECK(told.retry == row.retry);
      CHECK_FALSE(told.too_large);
    });
    CHECK(parse({row.stream}) == ByTheBook::parse(row.stream));
  }
}

TEST_CASE("Parser: tells the same of every two pieces and of random ones") {
  std::mt19937 random(1);
  for (const Row& row : rows()) {
    CAPTURE(row.name);
    check_chunkings(row.stream, {}, random);
  }
}

TEST_CASE("Parser: tells of random streams what the standard's steps tell, in any pieces") {
  std::mt19937 random(2);
  const int count = sized(300, 3000, 30'000);
  for (int i = 0; i < count; ++i) {
    CAPTURE(i);
    const std::string stream = random_stream(random);
    CHECK(parse({stream}) == ByTheBook::parse(stream));
    check_chunkings(stream, {}, random);
    const SseLimits tight{
        .line = 1 + random() % 40, .event = 1 + random() % 40, .id = random() % 6};
    check_chunkings(stream, tight, random);
  }
}

TEST_CASE("Parser: an event is there with the byte that ends its empty line") {
  for (const std::string_view end : {"\n\n", "\r\r", "\r\n\r", "\n\r"}) {
    CAPTURE(escaped(end));
    sse::Parser parser;
    const std::string stream = "data:1" + std::string(end);
    parser.feed(std::string_view(stream).substr(0, stream.size() - 1));
    CHECK(parser.next() == Item::more);
    parser.feed(std::string_view(stream).substr(stream.size() - 1));
    CHECK(parser.next() == Item::event);
    CHECK(parser.take_event().data == "1");
    CHECK(parser.next() == Item::more);
    parser.feed("\ndata:2\n\n");  // the LF belongs to the CR, or is one more empty line
    CHECK(parser.next() == Item::event);
    CHECK(parser.take_event().data == "2");
  }
}

TEST_CASE("Parser: comments are told only where they were asked for") {
  sse::Parser parser;
  parser.feed(":1\ndata:x\n:2\n\n:3\n");
  CHECK(parser.next() == Item::event);
  CHECK(parser.next() == Item::more);
}

TEST_CASE("Parser: one that starts anew forgets all but the last id and the time to wait") {
  sse::Parser parser({.line = 100, .event = 100}, "before");
  CHECK(parser.last_event_id() == "before");
  parser.feed("data:0\n\nid:1\nretry:5\n\nid:2\nevent:a\ndata:lost\ndata:al");
  CHECK(parser.next() == Item::event);
  CHECK(parser.take_event().id == "before");
  CHECK(parser.next() == Item::more);
  parser.restart();
  parser.feed(
      "\xEF\xBB\xBF"
      "data:x\r");
  CHECK(parser.next() == Item::more);
  parser.restart();
  parser.feed("\ndata:y\n\n");
  CHECK(parser.next() == Item::event);
  const Event event = parser.take_event();
  CHECK(event.data == "y");
  CHECK(event.type == "message");
  CHECK(event.id == "1");
  CHECK(parser.retry() == milliseconds(5));
  parser.feed(std::string(101, 'x'));
  CHECK(parser.next() == Item::too_large);
  parser.restart();
  parser.feed("data:z\n\n");
  CHECK(parser.next() == Item::event);
}

TEST_CASE("Parser: a limit lets through what fits, and refuses one byte more") {
  struct Limit {
    const char* name;
    SseLimits limits;
    std::string fits;
    std::string exceeds;
  };
  const std::vector<Limit> table = {
      {"line", {.line = 9}, "data:1234\n\n:12345678\n\n", "data:12345\n\n"},
      {"line", {.line = 9}, "", ":123456789\n"},
      {"line", {.line = 9}, "nocolon89\n", "nocolon8910"},
      {"line", {.line = 9}, "data:1234\r\n", "data:12345"},
      {"line",
       {.line = 9},
       "\xEF\xBB\xBF"
       "data:1\n",
       "data:12345\n"},
      {"event", {.event = 9}, "data:123456789\n\ndata:1234\ndata:6789\n\n", "data:1234567890\n\n"},
      {"event", {.event = 9}, "data:1234567\nevent:ab\n\n", "data:1234567\nevent:abc\n\n"},
      {"event", {.event = 9}, "data:1234\n\ndata:1234\ndata:6789\n\n", "data:1234\ndata:67890"},
      {"event", {.event = 9}, "event:123456789\n\n", "event:1234567890\n\n"},
      {"event",
       {.event = 9},
       "data:\xFF\xFF\xFF\n\n",
       "data:\xFF\xFF\xFF"
       "a\n\n"},
      {"id", {.id = 3}, "id:123\n\n", "id:1234\n\n"},
  };
  for (const Limit& row : table) {
    CAPTURE(row.exceeds);
    sweep(row.fits, [&](const auto& pieces) { CHECK_FALSE(parse(pieces, row.limits).too_large); });
    sweep(row.exceeds, [&](const auto& pieces) {
      const Told told = parse(pieces, row.limits);
      CHECK(told.too_large);
      CHECK(told.items.empty());
    });
    sse::Parser parser(row.limits);
    const std::string stream = row.fits + row.exceeds;
    parser.feed(stream);
    Item item = parser.next();
    while (item == Item::event) item = parser.next();
    CHECK(item == Item::too_large);
    CHECK(parser.refusal().find("SseLimits::"s + row.name) == 0);
    CHECK(parser.next() == Item::too_large);
  }
}

TEST_CASE("Parser: takes a line and an event of nearly 16 MiB, and no more") {
  const std::size_t most = SseLimits().line - 5;
  const std::string piece(std::size_t{64} << 10, 'x');
  for (const bool fits : {true, false}) {
    sse::Parser parser;
    parser.feed("data:");
    CHECK(parser.next() == Item::more);
    for (std::size_t left = most; left > 0; left -= std::min(left, piece.size())) {
      parser.feed(std::string_view(piece).substr(0, std::min(left, piece.size())));
      REQUIRE(parser.next() == Item::more);
    }
    parser.feed(fits ? "\n\n" : "x");
    REQUIRE(parser.next() == (fits ? Item::event : Item::too_large));
    if (fits) CHECK(parser.take_event().data == std::string(most, 'x'));
  }
}

TEST_CASE("Parser: its work is linear in the bytes, however they come") {
  const std::string text(1000, 'x');
  const std::vector<std::string> streams = {"x",
                                            "\n",
                                            "\r",
                                            "\r\n",
                                            ":\n",
                                            "data:\r",
                                            "data:\n",
                                            "data:x\n\n",
                                            "data:x\r\r",
                                            "data:" + text,
                                            "data:" + text + "\n\n",
                                            ":" + text + "\n",
                                            "event:" + text + "\n",
                                            "data: \xE2\x82\n\n",
                                            "data:" + std::string(300, '\xFF') + "\n\n",
                                            std::string(1000, '\r') + "\n",
                                            std::string(1000, '\n') + "\r",
                                            "retry:1\nid:2\n\n"};
  const std::size_t total = sized<std::size_t>(1, 4, 40) * 250'000;
  for (const std::string& pattern : streams) {
    CAPTURE(escaped(pattern.substr(0, 20)));
    std::string block;
    while (block.size() < (std::size_t{64} << 10)) block += pattern;
    const std::size_t repeats = total / block.size();
    const std::uint64_t bytes = repeats * block.size();
    for (const std::size_t piece :
         {std::size_t{1}, std::size_t{7}, std::size_t{1000}, kUncut + 0ul}) {
      CAPTURE(piece);
      // 2 searches; kept; checked and copied. An id's one byte for each event.
      CHECK(work_of(block, repeats, piece).work <= 6 * bytes);
    }
  }
}

TEST_CASE("Parser: of 10 MB in pieces of one byte, the last MB costs what the second does") {
  const std::string event = "data: " + std::string(92, 'x') + "\n\n";
  for (const std::string_view stream : {std::string_view("x"), std::string_view(event)}) {
    const std::size_t repeats = 1'000'000 / stream.size();
    CAPTURE(stream);
    const auto megabytes = [&](std::size_t count) { return work_of(stream, count * repeats, 1); };
    const Worked one = megabytes(1);
    const Worked two = megabytes(2);
    const Worked nine = megabytes(9);
    const Worked ten = megabytes(10);
    CHECK(ten.events == 10 * one.events);
    CHECK(ten.work - nine.work == two.work - one.work);
    CHECK(ten.work <= 6 * 10 * repeats * stream.size());
  }
}

TEST_SUITE_END();
