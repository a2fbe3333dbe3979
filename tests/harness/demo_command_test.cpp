#include <doctest/doctest.h>

#include <string>

#include "program.hpp"
#include "support/size.hpp"

using namespace weir::harness::test;

TEST_SUITE("harness") {
  TEST_CASE("demo: takes no arguments") {
    const Finished finished = run_program({"demo", "now"});
    CHECK(finished.code == 2);
    CHECK(finished.out.empty());
    CHECK(finished.err.starts_with("usage: weir-harness demo"));
  }

  TEST_CASE("demo: keeps its promise without a terminal") {
    if (weir::test::under_sanitizer() || weir::test::test_size() == weir::test::Size::small) {
      MESSAGE("demo: not run: it asserts its own memory, and takes seconds");
      return;
    }
    const Finished finished = run_program({"demo"});
    CAPTURE(finished.out);
    CHECK(finished.code == 0);
    CHECK(finished.err.empty());
    CHECK(finished.out.find('\r') == std::string::npos);
    CHECK(finished.out.find('\033') == std::string::npos);
    CHECK(finished.out.find("\nHTTP/1.1 + TLS ") != std::string::npos);
    CHECK(finished.out.find("\nHTTP/2 + TLS ") != std::string::npos);
    CHECK(finished.out.find("  stalled ") != std::string::npos);
    CHECK(finished.out.find("\nPASS ") != std::string::npos);
  }
}
