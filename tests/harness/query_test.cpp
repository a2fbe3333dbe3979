#include "harness/query.hpp"

#include <doctest/doctest.h>

using weir::harness::Query;

TEST_SUITE("harness") {
  TEST_CASE("Query: gives numbers, text, flags and choices by name") {
    Query query("n=5&&t=a%20b%2F&f=1&c=two&tag=x");
    CHECK(query.number("n", 0, 9) == 5);
    CHECK(query.text("t") == "a b/");
    CHECK(query.flag("f"));
    CHECK(query.choice("c", {"one", "two"}) == "two");
    CHECK_FALSE(query.number("missing", 0, 9));
    CHECK_FALSE(query.flag("absent"));
    CHECK(query.choice("none", {"one", "two"}) == "one");
    CHECK(query.error().empty());
  }

  TEST_CASE("Query: names the first thing that is wrong in one line") {
    struct Row {
      const char* text;
      const char* error;
    };
    for (const Row& row :
         {Row{"n=10", "'n' must be a number from 1 to 9, not '10'"},
          Row{"n=-1", "'n' must be a number from 1 to 9, not '-1'"},
          Row{"n=", "'n' must be a number from 1 to 9, not ''"},
          Row{"n=99999999999999999999",
              "'n' must be a number from 1 to 9, not '99999999999999999999'"},
          Row{"f=yes", "'f' must be 0 or 1, not 'yes'"},
          Row{"c=three", "'c' must be one or two, not 'three'"},
          Row{"other=1", "unknown parameter 'other'"}, Row{"n=1&n=2", "'n' is given twice"},
          Row{"n=%0d%0a", "'n' must be a number from 1 to 9, not '\?\?'"},
          Row{"n=%4", "bad percent-encoding in 'n'"}}) {
      CAPTURE(row.text);
      Query query(row.text);
      query.number("n", 1, 9);
      query.flag("f");
      query.choice("c", {"one", "two"});
      CHECK(query.error() == row.error);
    }
  }

  TEST_CASE("decimal: takes digits up to 2^63 and nothing else") {
    CHECK(weir::harness::decimal("9223372036854775808") == std::uint64_t{1} << 63);
    for (const char* text : {"", "9223372036854775809", "+1", " 1", "1 ", "0x1", "1e3"}) {
      CAPTURE(text);
      CHECK_FALSE(weir::harness::decimal(text));
    }
  }
}
