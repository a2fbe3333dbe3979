#include "harness/http2_outbox.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "weir/harness/firehose.hpp"

using namespace weir::harness;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string pattern_text(std::uint64_t seed, std::uint64_t offset, std::size_t size) {
  std::string out(size, '\0');
  pattern::fill(seed, offset, std::as_writable_bytes(std::span(out)));
  return out;
}

// Control frames, a DATA frame of the pattern, one of text, and the end of a stream without body.
void fill(Http2Outbox& outbox) {
  outbox.add(0, bytes_of("SETTINGS"));
  outbox.add(3, bytes_of("HEADERS"));
  outbox.add_end(3);
  outbox.add_pattern(1, bytes_of("[frame 1]"), 7, 1001, 500, false);
  outbox.add_data(5, bytes_of("[frame 5]"), bytes_of("text"), true);
  outbox.add_pattern(1, bytes_of("[frame 1]"), 7, 1501, 40, true);
}

const std::string& all() {
  static const std::string text = "SETTINGSHEADERS[frame 1]" + pattern_text(7, 1001, 500) +
                                  "[frame 5]text[frame 1]" + pattern_text(7, 1501, 40);
  return text;
}

}  // namespace

TEST_SUITE("harness") {
  TEST_CASE("Http2Outbox: gives the same bytes, in whatever pieces they are taken") {
    for (const std::size_t piece :
         {std::size_t{1}, std::size_t{7}, std::size_t{100}, std::size_t{10'000}}) {
      CAPTURE(piece);
      Http2Outbox outbox;
      fill(outbox);
      CHECK(outbox.size() == all().size());
      CHECK(outbox.frames() == 6);
      std::string got;
      std::uint64_t body = 0;
      std::uint64_t framing = 0;
      std::vector<std::int32_t> ended;
      std::array<std::byte, 300> room{};
      while (!outbox.empty()) {
        const auto bytes = outbox.render(room);
        CHECK(all().substr(got.size(), bytes.size()) ==
              std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
        const std::size_t taken = std::min(piece, bytes.size());
        got.append(reinterpret_cast<const char*>(bytes.data()), taken);
        outbox.take(taken, [&](const Http2Outbox::Taken& part) {
          body += part.body;
          framing += part.framing;
          if (part.last) ended.push_back(part.stream);
        });
        CHECK(outbox.size() == all().size() - got.size());
      }
      CHECK(got == all());
      CHECK(body == 544);
      CHECK(framing + body == all().size());
      CHECK(ended == std::vector<std::int32_t>{3, 5, 1});
    }
  }

  TEST_CASE("Http2Outbox: an end with nothing before it is taken without a byte") {
    Http2Outbox outbox;
    outbox.add_end(9);
    std::array<std::byte, 4> room{};
    CHECK(outbox.render(room).empty());
    CHECK_FALSE(outbox.empty());
    std::int32_t ended = 0;
    outbox.take(0, [&](const Http2Outbox::Taken& part) { ended = part.last ? part.stream : 0; });
    CHECK(ended == 9);
    CHECK(outbox.empty());
  }
}
