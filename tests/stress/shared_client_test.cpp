#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "subprocess.hpp"
#include "support/size.hpp"

using namespace weir::test;
using std::chrono::steady_clock;

TEST_SUITE_BEGIN("stress");

TEST_CASE("Shared client: a program may return from main() while its bodies stream") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    const ServerProcess server(tls);
    std::vector<std::string> words{program_of("WEIR_EXIT_PROGRAM"), server.url()};
    const auto ca = std::filesystem::temp_directory_path() /
                    ("weir-exit-" + std::to_string(::getpid()) + ".pem");
    if (tls) {
      std::ofstream(ca) << server.ca();
      words.push_back(ca.string());
    }
    const int runs = sized(5, 20, 100);
    std::chrono::duration<double> longest{};
    for (int i = 0; i < runs; ++i) {
      const auto begin = steady_clock::now();
      Subprocess program(words);
      REQUIRE(program.wait() == 0);
      longest = std::max<std::chrono::duration<double>>(longest, steady_clock::now() - begin);
    }
    if (tls) std::filesystem::remove(ca);
    MESSAGE(runs, " runs, the longest took ", longest.count() * 1e3, " ms");
    CHECK(longest.count() < 10);  // it ends by itself, not by a timeout
  }
}

TEST_SUITE_END();
