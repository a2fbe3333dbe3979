#include "weir/headers.hpp"

#include <doctest/doctest.h>

#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "support/failing_new.hpp"
#include "weir/error.hpp"

using weir::errc;
using weir::Error;
using weir::Field;
using weir::Headers;

namespace {

std::vector<Field> fields(const Headers& headers) { return {headers.begin(), headers.end()}; }

template <class Call>
bool is_refused(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code() == errc::invalid_argument;
  }
  return false;
}

}  // namespace

TEST_SUITE_BEGIN("base");

TEST_CASE("Headers: are made from pairs, in order, duplicates kept") {
  const Headers headers{{"B", "2"}, {"a", "1"}, {"b", "3"}};
  CHECK(headers.size() == 3);
  CHECK(fields(headers) == std::vector<Field>{{"B", "2"}, {"a", "1"}, {"b", "3"}});
  CHECK(Headers{{"a", "b"}}.get("a") == "b");
  CHECK(Headers().empty());
  CHECK_FALSE(headers.empty());
}

TEST_CASE("Headers: names compare without regard to case, and keep their spelling") {
  Headers headers{{"Content-Type", "text/plain"}};
  CHECK(headers.has("content-TYPE"));
  CHECK(headers.get("CONTENT-type") == "text/plain");
  CHECK(headers.begin()->name == "Content-Type");
  CHECK_FALSE(headers.has("Content-Typ"));
  CHECK_FALSE(headers.has("Content-Type2"));
  CHECK_FALSE(Headers{{"a^", "x"}}.has("A~"));
}

TEST_CASE("Headers: get joins all values with a comma and a space") {
  Headers headers{{"Accept", "a"}, {"x", "y"}, {"ACCEPT", ""}, {"accept", "b, c"}};
  CHECK(headers.get("accept") == "a, , b, c");
  CHECK(headers.get_all("accept") == std::vector<std::string>{"a", "", "b, c"});
  CHECK(headers.get("none") == std::nullopt);
  CHECK(headers.get_all("none").empty());
  CHECK(Headers{{"empty", ""}}.get("empty") == "");
}

TEST_CASE("Headers: set replaces all values, in the place and spelling of the first") {
  Headers headers{{"X-One", "1"}, {"other", "o"}, {"x-one", "2"}, {"X-ONE", "3"}};
  headers.set("x-ONE", "4");
  CHECK(fields(headers) == std::vector<Field>{{"X-One", "4"}, {"other", "o"}});
  headers.set("New", "n");
  CHECK(fields(headers) == std::vector<Field>{{"X-One", "4"}, {"other", "o"}, {"New", "n"}});
}

TEST_CASE("Headers: remove takes every value of the name, and nothing for another name") {
  Headers headers{{"a", "1"}, {"b", "2"}, {"A", "3"}};
  headers.remove("c");
  CHECK(headers.size() == 3);
  headers.remove("a");
  CHECK(fields(headers) == std::vector<Field>{{"b", "2"}});
}

TEST_CASE("Headers: arguments may be views of their own fields") {
  const std::string a(40, 'a');
  const std::string b(40, 'b');
  Headers headers{
      {a, "1"}, {b, "2"}, {a, "3"}, {b, "4"}, {b, "a value too long to be stored inside"}};
  headers.set(headers.begin()->name, (headers.begin() + 4)->value);
  CHECK(headers.get(a) == "a value too long to be stored inside");
  for (int i = 0; i < 20; ++i) headers.append(headers.begin()->name, headers.begin()->value);
  CHECK(headers.get_all(a).size() == 21);
  headers.remove(headers.begin()->name);
  CHECK_FALSE(headers.has(a));
  CHECK(headers.get(b) == "2, 4, a value too long to be stored inside");
}

TEST_CASE("Headers: spaces and tabs around a value are removed, and those inside kept") {
  Headers headers{{"a", " \t b \t c\t "}, {"b", " \t "}};
  CHECK(headers.get("a") == "b \t c");
  CHECK(headers.get("b") == "");
  headers.set("a", "\tx");
  CHECK(headers.get("a") == "x");
}

TEST_CASE("Headers: a name that is not a token is refused everywhere") {
  Headers headers{{"a", "b"}};
  for (const std::string name :
       {"",    " ",   "a b", "a:",  ":a",  "a\r", "a\n", "a\tb", "a(",   "\"a\"",    "a/b",
        "a@b", "[a]", "a,b", "a;b", "{a}", "a=b", "a?",  "a\\b", "\x7f", "\xc3\xa4", "\xff"}) {
    CAPTURE(name);
    CHECK(is_refused([&] { Headers{{name, "x"}}; }));
    CHECK(is_refused([&] { headers.set(name, "x"); }));
    CHECK(is_refused([&] { headers.append(name, "x"); }));
    CHECK(is_refused([&] { headers.remove(name); }));
    CHECK(is_refused([&] { (void)headers.get(name); }));
    CHECK(is_refused([&] { (void)headers.get_all(name); }));
    CHECK(is_refused([&] { (void)headers.has(name); }));
  }
  CHECK(is_refused([&] { headers.append(std::string_view("a\0b", 3), "x"); }));
  CHECK(fields(headers) == std::vector<Field>{{"a", "b"}});
}

TEST_CASE("Headers: every token character may be in a name") {
  Headers headers;
  headers.append("!#$%&'*+-.^_`|~0123456789azAZ", "x");
  CHECK(headers.get("!#$%&'*+-.^_`|~0123456789AZaz") == "x");
}

TEST_CASE("Headers: CR, LF and NUL in a value are refused, at its ends too") {
  Headers headers{{"a", "b"}};
  for (const char bad : {'\r', '\n', '\0'}) {
    for (const auto& value : {std::string(1, bad), std::string("x") + bad, bad + std::string("x"),
                              std::string("x") + bad + "y", std::string("x ") + bad}) {
      CAPTURE(static_cast<int>(bad));
      CHECK(is_refused([&] { headers.append("a", value); }));
      CHECK(is_refused([&] { headers.set("a", value); }));
      CHECK(is_refused([&] { Headers{{"a", value}}; }));
    }
  }
  CHECK(is_refused([&] { headers.append("a", "x\r\nInjected: y"); }));
  CHECK(fields(headers) == std::vector<Field>{{"a", "b"}});
}

TEST_CASE("Headers: all other bytes of a value are kept") {
  std::string value = "x";
  for (int byte = 1; byte < 256; ++byte) {
    if (byte != '\r' && byte != '\n') value += static_cast<char>(byte);
  }
  Headers headers;
  headers.append("a", value);
  CHECK(headers.get("a") == value);
}

TEST_CASE("Headers: an error names the header but never shows its value") {
  try {
    Headers{{"Authorization", "Bearer secret\n"}};
    FAIL("accepted");
  } catch (const Error& error) {
    const std::string what = error.what();
    CHECK(what.find("Authorization") != std::string::npos);
    CHECK(what.find("secret") == std::string::npos);
  }
}

TEST_CASE("Headers: a failed allocation leaves them as they were" *
          doctest::skip(!weir::test::kCanFailNew)) {
  const std::string long_text(100, 'x');
  const Headers before{{"a", "1"}, {long_text, long_text}, {"A", "2"}};
  auto headers = before;
  int wrong = 0;
  const auto attempt = [&](auto change) {
    return [&, change](int) {
      try {
        change();
      } catch (const std::bad_alloc&) {
        wrong += headers != before;
        throw;
      }
    };
  };
  CHECK(weir::test::fail_each_allocation(attempt([&] { headers.append("b", long_text); })) > 0);
  headers = before;
  CHECK(weir::test::fail_each_allocation(attempt([&] { headers.set("a", long_text); })) > 0);
  headers = before;
  CHECK(weir::test::fail_each_allocation(attempt([&] { headers.remove(long_text); })) > 0);
  CHECK(wrong == 0);
  CHECK_FALSE(headers.has(long_text));
}

TEST_SUITE_END();
