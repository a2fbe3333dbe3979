#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <future>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "api/scripted_stream.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

// What the parent's other threads held in their registers is not to be found in a forked child: the
// leak checker asks here.
static bool forked = false;
extern "C" int __lsan_is_turned_off() { return forked ? 1 : 0; }  // NOLINT: its name

namespace {

harness::Firehose& server() {
  static auto* const server = new harness::Firehose;  // never destroyed: forked children exit, too
  return *server;
}

/// The exit code of a child that runs `body` and exits as programs do.
template <class Body>
int exit_code_of(Body body) {
  std::cout.flush();  // else the child prints it again
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    forked = true;
    ::alarm(30);  // a child that hangs is a failure, not a hang
    body();
    std::exit(3);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// Registered before the shared client exists, so that it runs after its thread was stopped.
std::optional<Response> left_open;
void fetch_after_exit() {
  const bool refused = code_of([] { fetch("http://127.0.0.1:9/"); }) == errc::aborted;
  const bool aborted = code_of([] { left_open->text(); }) == errc::aborted;
  ::_exit(refused && aborted ? 17 : 18);
}

}  // namespace

TEST_SUITE("api") {
  // First, before this process has a shared client and threads.
  TEST_CASE("fetch: after exit() began its bodies and fetches are aborted, and nothing hangs") {
    CHECK(exit_code_of([] {
            std::atexit(fetch_after_exit);
            static auto* const own = new harness::Firehose;  // serves until the process is gone
            left_open.emplace(fetch(own->url("/bytes/50000000")));
          }) == 17);
  }

  TEST_CASE("fetch: uses one client for the whole process, from any thread") {
    const auto before = server().stats();
    std::vector<std::future<std::string>> workers;
    for (int worker = 0; worker < 4; ++worker) {
      workers.push_back(
          std::async(std::launch::async, [] { return fetch(server().url("/status/200")).text(); }));
    }
    for (auto& worker : workers) CHECK(worker.get() == "200\n");
    CHECK(fetch(server().url("/status/404")).status == 404);
    const auto after = server().stats();
    CHECK(after.requests - before.requests == 5);
    CHECK(after.connections_opened - before.connections_opened <= 4);
  }

  TEST_CASE("fetch: a forked child that exits does not wait for its parent's threads") {
    CHECK(fetch(server().url("/status/200")).ok());
    CHECK(exit_code_of([] {}) == 3);
  }
}
