#include "harness/cmd/json_writer.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "harness/cmd/text.hpp"
#include "json.hpp"

using namespace std::string_view_literals;
using namespace weir::harness::cmd;
using weir::harness::test::Json;

namespace {

template <class T>
std::string written(const T& value) {
  JsonWriter json;
  json.value(value);
  return json.take();
}

}  // namespace

TEST_SUITE("harness") {
  TEST_CASE("JsonWriter: objects and arrays nest, with a comma between elements") {
    JsonWriter json;
    json.object();
    json.field("a", 1);
    json.key("list");
    json.array();
    json.value(true);
    json.object();
    json.close();
    json.array();
    json.close();
    json.value("x");
    json.close();
    json.field("b", nullptr);
    json.close();
    CHECK(json.take() == R"({"a":1,"list":[true,{},[],"x"],"b":null})");
  }

  TEST_CASE("JsonWriter: a writer starts anew after take") {
    JsonWriter json;
    json.value(1);
    CHECK(json.take() == "1");
    json.value(2);
    CHECK(json.take() == "2");
  }

  TEST_CASE("JsonWriter: strings are escaped, and become UTF-8 whatever they held") {
    struct Row {
      std::string_view text;
      std::string_view expected;
    };
    for (const Row& row : {
             Row{"", R"("")"},
             Row{"plain /", R"("plain /")"},
             Row{"\"\\", R"("\"\\")"},
             Row{"a\nb\tc\rd", R"("a\nb\u0009c\u000dd")"},
             Row{"\0\x1f\x7f"sv, R"("\u0000\u001f\u007f")"},
             Row{"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
                 "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\""},
             Row{"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf",
                 "\"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\""},
             Row{"\xff", R"("\ufffd")"},
             Row{"\x80", R"("\ufffd")"},
             Row{"\xc3", R"("\ufffd")"},                                // cut short
             Row{"\xe2\x82", R"("\ufffd\ufffd")"},                      // the same
             Row{"\xc0\xaf", R"("\ufffd\ufffd")"},                      // overlong
             Row{"\xe0\x80\xaf", R"("\ufffd\ufffd\ufffd")"},            // overlong
             Row{"\xed\xa0\x80", R"("\ufffd\ufffd\ufffd")"},            // surrogate
             Row{"\xf4\x90\x80\x80", R"("\ufffd\ufffd\ufffd\ufffd")"},  // above U+10FFFF
             Row{"\xf0\x80\x80\x80", R"("\ufffd\ufffd\ufffd\ufffd")"},  // overlong
             Row{"\xc3\"", R"("\ufffd\"")"},
         }) {
      CAPTURE(row.expected);
      CHECK(written(row.text) == row.expected);
    }
  }

  TEST_CASE("JsonWriter: any bytes give JSON that can be read back") {
    std::string all;
    for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
    JsonWriter json;
    json.object();
    json.field(all, all);
    json.close();
    const Json read = Json::parse(json.take());
    CHECK(read.size() == 1);
    CHECK(read[0].text().substr(0, 128) == all.substr(0, 128));
  }

  TEST_CASE("JsonWriter: numbers are written in full, and only where JSON knows them") {
    CHECK(written(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
    CHECK(written(-5) == "-5");
    CHECK(written(0.0) == "0.0");
    CHECK(written(1.5) == "1.5");
    CHECK(written(100.0) == "100.0");
    CHECK(written(0.000001) == "0.000001");
    CHECK(written(1e300).size() == 301 + 2);
    CHECK(written(std::nan("")) == "null");
    CHECK(written(std::numeric_limits<double>::infinity()) == "null");
  }

  TEST_CASE("JsonWriter: an optional is its value or null") {
    CHECK(written(std::optional<std::string>("x")) == "\"x\"");
    CHECK(written(std::optional<std::string>()) == "null");
    CHECK(written(std::optional<int>(3)) == "3");
  }

  TEST_CASE("size_text: has at most four digits and the largest unit that fits") {
    CHECK(size_text(0) == "0 B");
    CHECK(size_text(1023) == "1023 B");
    CHECK(size_text(1024) == "1.00 KiB");
    CHECK(size_text(10 * 1024) == "10.0 KiB");
    CHECK(size_text(1023 * 1024) == "1023 KiB");
    CHECK(size_text(1024 * 1024 - 1) == "1.00 MiB");
    CHECK(size_text((4 << 20) + (64 << 10)) == "4.06 MiB");
    CHECK(size_text(std::uint64_t{1} << 30) == "1.00 GiB");
    CHECK(size_text(std::uint64_t{1} << 50) == "1024 TiB");
  }
}
