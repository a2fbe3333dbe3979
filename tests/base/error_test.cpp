#include "weir/error.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <type_traits>

#include "base/url_text.hpp"
#include "support/failing_new.hpp"

using weir::errc;
using weir::Error;
using weir::Failure;
using weir::detail::is_plain_url;
using weir::detail::without_credentials;

TEST_SUITE_BEGIN("base");

TEST_CASE("errc: every value has a sentence of its own, and other numbers have none") {
  std::set<std::string> sentences;
  for (int code = 1; code <= static_cast<int>(errc::would_deadlock); ++code) {
    const auto sentence = make_error_code(static_cast<errc>(code)).message();
    CAPTURE(sentence);
    CHECK(sentences.insert(sentence).second);
    CHECK(sentence.find("rror") == std::string::npos);
    CHECK(sentence.back() != '.');
  }
  const auto last = static_cast<int>(errc::would_deadlock);
  CHECK(std::error_code(last + 1, weir::error_category()).message() == "Unknown error");
  CHECK(std::error_code(-1, weir::error_category()).message() == "Unknown error");
  CHECK(std::error_code(0, weir::error_category()).message() == "No error");
  CHECK_FALSE(std::error_code(0, weir::error_category()));
}

TEST_CASE("errc: the category is one object called weir") {
  CHECK(&make_error_code(errc::aborted).category() == &weir::error_category());
  CHECK(std::string(weir::error_category().name()) == "weir");
}

TEST_CASE("errc: values that mean what a std::errc means are equal to it") {
  struct Row {
    errc code;
    std::errc condition;
  };
  for (const auto& row : {Row{errc::timed_out, std::errc::timed_out},
                          Row{errc::aborted, std::errc::operation_canceled},
                          Row{errc::invalid_argument, std::errc::invalid_argument},
                          Row{errc::protocol_error, std::errc::protocol_error},
                          Row{errc::unsupported, std::errc::not_supported},
                          Row{errc::would_deadlock, std::errc::resource_deadlock_would_occur}}) {
    const auto code = make_error_code(row.code);
    CAPTURE(code.message());
    CHECK(code == row.condition);
    CHECK(code == row.code);
  }
  CHECK(make_error_code(errc::consumer_stalled) != std::errc::timed_out);
  CHECK(make_error_code(errc::connection_lost) != std::errc::connection_reset);
}

TEST_CASE("Error: carries every fact of its Failure") {
  Failure failure;
  failure.code = errc::truncated;
  failure.detail = "10 of 20 bytes";
  failure.url = "https://example.com/file";
  failure.bytes_received = 10;
  failure.status = 206;
  failure.retryable = true;
  const Error error(failure);
  CHECK(error.code() == errc::truncated);
  CHECK(error.detail() == "10 of 20 bytes");
  CHECK(error.url() == "https://example.com/file");
  CHECK(error.bytes_received() == 10);
  CHECK(error.status() == 206);
  CHECK(error.retryable());
  CHECK(error.failure().detail == error.detail());
}

TEST_CASE("Error: what() is the sentence, with the detail after it if there is one") {
  CHECK(std::string(Error({.code = errc::too_large}).what()) == "A size limit was exceeded");
  CHECK(std::string(Error({.code = errc::too_large, .detail = "limit 5, size 6"}).what()) ==
        "A size limit was exceeded: limit 5, size 6");
}

TEST_CASE("Error: shows no credentials, whatever URL it was made with") {
  const Error error({.code = errc::aborted, .url = "http://ann:secret@example.com/a@b"});
  CHECK(error.url() == "http://example.com/a@b");
  CHECK(error.failure().url == "http://example.com/a@b");
  CHECK(std::string(error.what()).find("secret") == std::string::npos);
}

TEST_CASE("Error: copies share their strings, never throw, and outlive the original") {
  static_assert(std::is_nothrow_copy_constructible_v<Error>);
  static_assert(std::is_nothrow_copy_assignable_v<Error>);
  Error copy({.code = errc::aborted});
  const char* what = nullptr;
  {
    Error first({.code = errc::timed_out, .detail = "headers_timeout"});
    copy = first;
    what = first.what();
    const Error moved(std::move(first));
    CHECK(first.detail() == moved.detail());
  }
  CHECK(copy.code() == errc::timed_out);
  CHECK(copy.detail() == "headers_timeout");
  CHECK(copy.what() == what);
}

TEST_CASE("Error: copying it allocates nothing") {
  const Error error({.code = errc::timed_out, .detail = "a detail too long to be stored inside"});
  CHECK(weir::test::fail_each_allocation([&](int) { const Error copy(error); }) == 0);
}

TEST_CASE("Error: is thrown and caught as a std::system_error") {
  try {
    throw Error({.code = errc::aborted, .detail = "stop requested"});
  } catch (const std::system_error& error) {
    CHECK(error.code() == std::errc::operation_canceled);
    CHECK(std::string(error.what()).find(": stop requested") != std::string::npos);
  }
}

TEST_CASE("without_credentials: removes userinfo and nothing else") {
  struct Row {
    const char* url;
    const char* shown;
  };
  for (const auto& row : {
           Row{"http://user:pass@host:80/path?q#f", "http://host:80/path?q#f"},
           Row{"https://user@host", "https://host"},
           Row{"https://:pass@host/", "https://host/"},
           Row{"https://@host/", "https://host/"},
           Row{"http://a:b@c@host/", "http://host/"},
           Row{"http://a:b%40c@host/", "http://host/"},
           Row{"http://user:pass@[::1]:80/", "http://[::1]:80/"},
           Row{"HTTP://user:pass@host/", "HTTP://host/"},
           Row{"http://host/path@x/y:z@w", "http://host/path@x/y:z@w"},
           Row{"http://host?a=b@c", "http://host?a=b@c"},
           Row{"http://host#b@c", "http://host#b@c"},
           Row{"http://host/?to=http://u:p@h/", "http://host/?to=http://u:p@h/"},
           Row{"http://host", "http://host"},
           Row{"/path@x", "/path@x"},
           Row{"?q=a@b", "?q=a@b"},
           Row{"", ""},
       }) {
    CAPTURE(row.url);
    CHECK(without_credentials(row.url) == row.shown);
  }
}

TEST_CASE("is_plain_url: takes what needs no parser, and nothing else") {
  for (const std::string url :
       {"http://a", "https://a-b.example/", "http://127.0.0.1:8080/x?y#z", "http://a:65535",
        "http://a?b", "http://a#", "http://a/%zz//@\\", "http://a.:1/"}) {
    CAPTURE(url);
    CHECK(is_plain_url(url));
  }
  for (const std::string url : {"",
                                "http://",
                                "HTTP://a/",
                                "http:/a",
                                "http:///a",
                                "ftp://a/",
                                "http://a:",
                                "http://a:/",
                                "http://a:65536/",
                                "http://a:-1/",
                                "http://a:+1/",
                                "http://a:1x/",
                                "http://a@b/",
                                "http://a:1@b/",
                                "http://[::1]/",
                                "http://a%41/",
                                "http://a\\b",
                                "http://a/ ",
                                "http://a/\x7f",
                                "http://a/\xc3\xa9",
                                "http://a_b/"}) {
    CAPTURE(url);
    CHECK_FALSE(is_plain_url(url));
  }
  CHECK_FALSE(is_plain_url(std::string("http://a/\0", 10)));
  CHECK(is_plain_url("http://a/" + std::string(2039, 'x')));
  CHECK_FALSE(is_plain_url("http://a/" + std::string(2040, 'x')));
}

TEST_CASE("without_credentials: shows no password of text that is no URL") {
  for (const char* url :
       {"user:PW@host/path", "user:PW@host//path", "user:PW@host?x=//y", "//user:PW@host/",
        "http:user:PW@host/", "http:/user:PW@host/", "http:///user:PW@host/",
        "http:\\\\user:PW@host\\", "http://user:P\\W@host/", "  http://user:PW@host/",
        "h\tttp:/\n/user:PW@host/", "://user:PW@host", "@user:PW@", "user:PW@", "http://user:PW@",
        "http//user:PW@host"}) {
    CAPTURE(url);
    const auto shown = without_credentials(url);
    CHECK(shown.find("PW") == std::string::npos);
    CHECK(shown.find("P\\W") == std::string::npos);
  }
}

TEST_CASE("without_credentials: shows nothing of userinfo made of any characters") {
  const std::string alphabet("ah:\\@%. \t\n\0", 11);
  unsigned random = 1;
  int wrong = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string userinfo;
    for (int i = 0; i < 12; ++i) {
      random = random * 1'664'525 + 1'013'904'223;
      userinfo += alphabet[(random >> 16) % alphabet.size()];
    }
    wrong += without_credentials("http://a" + userinfo + "@host/@b") != "http://host/@b";
  }
  CHECK(wrong == 0);
}

TEST_SUITE_END();
