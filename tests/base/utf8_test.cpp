#include "base/utf8.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "support/utf8_by_the_book.hpp"

using namespace weir::detail;
using weir::test::decoded_by_the_book;

namespace {

std::string decoded(std::string_view bytes) {
  std::string out = "before ";
  append_utf8(out, bytes);
  std::string repaired = "\xFF\xFF";  // in front of the offset: nobody's business
  repaired += bytes;
  repair_utf8(repaired, 2);
  CHECK(repaired.substr(2) == out.substr(7));
  CHECK(out.size() - 7 >= bytes.size());
  return out.substr(7);
}

}  // namespace

TEST_SUITE_BEGIN("base");

TEST_CASE("append_utf8: replaces each maximal subpart of what is ill-formed") {
  struct Row {
    std::string_view bytes;
    std::string_view text;
  };
  const std::vector<Row> rows = {
      {"", ""},
      {"plain", "plain"},
      {"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", "\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"},
      {"\x80", "\xEF\xBF\xBD"},
      {"\xFF\xFE", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xC3", "\xEF\xBF\xBD"},
      {"\xE2\x82", "\xEF\xBF\xBD"},
      {"\xF0\x9F\x98", "\xEF\xBF\xBD"},
      {"\xF0\x9F\x98x", "\xEF\xBF\xBDx"},
      {"\xE0\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xE2\x82\xE2\x82\xAC", "\xEF\xBF\xBD\xE2\x82\xAC"},
      {"\xEF\xBB\xBFx", "\xEF\xBB\xBFx"},
      // The Unicode Standard, table 3-8
      {"a\xF1\x80\x80\xE1\x80\xC2"
       "b\x80"
       "c\x80\xBF"
       "d",
       "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
       "b\xEF\xBF\xBD"
       "c\xEF\xBF\xBD\xEF\xBF\xBD"
       "d"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(decoded(row.bytes) == row.text);
    CHECK(decoded_by_the_book(row.bytes) == row.text);
  }
}

TEST_CASE("append_utf8: does what the standard's steps do to any two bytes and what follows") {
  std::size_t wrong = 0;
  for (unsigned first = 0x7F; first <= 0xFF; ++first) {
    for (unsigned second = 0; second <= 0xFF; ++second) {
      for (const std::string_view rest :
           {"", "x", "\x80", "\x80\x80", "\xBF\xC3", "\xE2\x82\xAC"}) {
        std::string bytes = {static_cast<char>(first), static_cast<char>(second)};
        bytes += rest;
        std::string out;
        append_utf8(out, bytes);
        wrong += out != decoded_by_the_book(bytes) ? 1 : 0;
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("valid_utf8: stops at the byte that is wrong, wherever it stands") {
  for (std::size_t size = 0; size < 200; ++size) {
    CAPTURE(size);
    std::string text(size, 'x');
    CHECK(valid_utf8(text) == size);
    CHECK(valid_utf8(text + "\xC3\xA9") == size + 2);
    CHECK(valid_utf8(text + "\xC3") == size);
    CHECK(valid_utf8(text + "\xC3" + std::string(100, 'y')) == size);
    CHECK(valid_utf8("\xE2\x82\xAC" + text + "\xFF\xFF") == size + 3);
  }
}

TEST_SUITE_END();
