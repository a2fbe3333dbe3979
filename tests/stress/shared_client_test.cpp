#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "subprocess.hpp"
#include "support/size.hpp"

using namespace weir::test;
using std::chrono::steady_clock;

namespace {

struct Variant {
  const char* version;
  bool tls;
};
constexpr Variant kVariants[] = {{"1", false}, {"1", true}, {"2pk", false}, {"2", true}};

/// A server, and the words that run the program against it.
class Exit {
 public:
  explicit Exit(const Variant& variant) : server_(variant.tls, variant.version[0] == '2') {
    words_ = {program_of("WEIR_EXIT_PROGRAM"), server_.url(), variant.version};
    if (!variant.tls) return;
    ca_ = std::filesystem::temp_directory_path() /
          ("weir-exit-" + std::to_string(::getpid()) + ".pem");
    std::ofstream(ca_) << server_.ca();
    words_.push_back(ca_.string());
  }
  ~Exit() {
    std::error_code ignored;  // nothing to remove without TLS
    std::filesystem::remove(ca_, ignored);
  }
  Exit(const Exit&) = delete;
  Exit& operator=(const Exit&) = delete;

  int run(std::vector<std::string> under = {}) const {
    under.insert(under.end(), words_.begin(), words_.end());
    return Child(std::move(under)).wait();
  }

 private:
  ServerProcess server_;
  std::filesystem::path ca_;
  std::vector<std::string> words_;
};

}  // namespace

TEST_SUITE_BEGIN("stress");

TEST_CASE("Shared client: a program may return from main() while its bodies stream") {
  for (const Variant& variant : kVariants) {
    CAPTURE(variant.version);
    CAPTURE(variant.tls);
    const Exit exit(variant);
    const int runs = sized(5, 10, 100);
    std::chrono::duration<double> longest{};
    for (int i = 0; i < runs; ++i) {
      const auto begin = steady_clock::now();
      REQUIRE(exit.run() == 0);
      longest = std::max<std::chrono::duration<double>>(longest, steady_clock::now() - begin);
    }
    MESSAGE(runs, " runs, the longest took ", longest.count() * 1e3, " ms");
    CHECK(longest.count() < 10);  // it ends by itself, not by a timeout
  }
}

TEST_CASE("Shared client: such an end leaks nothing and reads nothing stale, says valgrind") {
  const std::string valgrind = installed("valgrind");
  if (valgrind.empty() || under_sanitizer()) {
    MESSAGE("skipped: ", valgrind.empty() ? "valgrind is not installed" : "a sanitizer looks");
    return;
  }
  for (const Variant& variant : kVariants) {
    CAPTURE(variant.version);
    CAPTURE(variant.tls);
    CHECK(Exit(variant).run({valgrind, "--quiet", "--error-exitcode=99", "--leak-check=full",
                             "--errors-for-leak-kinds=definite", "--fair-sched=yes"}) == 0);
  }
}

TEST_SUITE_END();
