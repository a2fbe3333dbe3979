#include <doctest/doctest.h>

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <future>
#include <ios>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "api/async_fixture.hpp"
#include "api/scripted_stream.hpp"
#include "support/memory.hpp"
#include "weir/body.hpp"

using namespace weir;
using namespace weir::test;
using Then = ScriptedStream::Then;

/// As a program would make one.
template <>
struct weir::JsonTraits<int> {
  static int parse(std::string_view text) { return std::stoi(std::string(text)); }
};

namespace {

/// A folder of this test's own.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "weir-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category());
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class Call>
std::error_code system_code_of(Call call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error.code();
  }
  return {};
}

}  // namespace

TEST_SUITE_BEGIN("api");

TEST_CASE("pipe_to: a function gets every Chunk, and the count of bytes comes back") {
  std::string all;
  const auto sink = [&all](const Chunk& chunk) { all += chunk.text(); };
  CHECK(ScriptedBody({"some", " bytes"}).body().pipe_to(sink) == 10);
  CHECK(all == "some bytes");
  CHECK(Body().pipe_to(sink) == 0);
  Body used("text");
  CHECK(used.text() == "text");
  CHECK(code_of([&] { std::move(used).pipe_to(sink); }) == errc::body_used);
}

TEST_CASE("pipe_to: a sink that throws cancels the body, once, and its exception comes out") {
  ScriptedBody source({"one", "two", "three"});
  int calls = 0;
  const auto sink = [&calls](const Chunk&) {
    if (++calls == 2) throw std::runtime_error("full");
  };
  Body body = source.body();
  CHECK_THROWS_WITH_AS(std::move(body).pipe_to(sink), "full", std::runtime_error);
  CHECK(calls == 2);
  CHECK(source.log->cancels == 1);
}

TEST_CASE("pipe_to: a failure of the body comes after the bytes before it") {
  std::string all;
  ScriptedBody source({"some"}, Then::fail);
  const auto sink = [&all](const Chunk& chunk) { all += chunk.text(); };
  CHECK(code_of([&] { source.body().pipe_to(sink); }) == errc::truncated);
  CHECK(all == "some");
}

TEST_CASE("pipe_to: a stop cancels the body, also while it waits") {
  const auto ignore = [](const Chunk&) {};
  std::stop_source before;
  before.request_stop();
  ScriptedBody unread({"text"});
  Body body = unread.body();
  CHECK(code_of([&] { std::move(body).pipe_to(ignore, before.get_token()); }) == errc::aborted);
  CHECK(unread.log->cancels == 1);
  CHECK(unread.log->asked.empty());

  AsyncFixture fixture;
  auto opened = fixture.open_body();
  std::stop_source stop;
  auto waiting = std::async(std::launch::async, [&] {
    return code_of([&] { std::move(opened.body).pipe_to(ignore, stop.get_token()); });
  });
  fixture.send(opened.transfer, "text");
  stop.request_stop();
  CHECK(waiting.get() == errc::aborted);
  fixture.driver->run_until_idle();
  CHECK(opened.transfer.cancelled() == 1);
}

TEST_CASE("pipe_to: a stream gets all, and its failure is told") {
  std::ostringstream out;
  CHECK(ScriptedBody({"some", " bytes"}).body().pipe_to(out) == 10);
  CHECK(out.str() == "some bytes");
  ScriptedBody source({"one", "two"});
  out.setstate(std::ios_base::badbit);
  Body body = source.body();
  CHECK_THROWS_AS(std::move(body).pipe_to(out), std::ios_base::failure);
  CHECK(source.log->cancels == 1);
  CHECK(source.log->asked.empty());
  std::ofstream full("/dev/full");
  CHECK_THROWS_AS(Body("text").pipe_to(full), std::ios_base::failure);
}

TEST_CASE("pipe_to: a file is made or emptied, and gets all") {
  const Folder folder;
  const auto path = folder / "file";
  const std::string text(300'000, 'x');
  CHECK(Body(text).pipe_to(path) == text.size());
  CHECK(text_of(path) == text);
  CHECK(Body("short").pipe_to(path.string()) == 5);
  CHECK(text_of(path) == "short");
}

TEST_CASE("pipe_to: a file that cannot be written is told by the system's code") {
  const Folder folder;
  const auto fds = open_fds();
  ScriptedBody source({"one", "two"});
  Body body = source.body();
  CHECK(system_code_of([&] { std::move(body).pipe_to(folder / "no/file"); }) ==
        std::errc::no_such_file_or_directory);
  CHECK(source.log->cancels == 1);
  CHECK(source.log->asked.empty());
  ScriptedBody full({"one", "two"});
  Body other = full.body();
  CHECK(system_code_of([&] { std::move(other).pipe_to("/dev/full"); }) ==
        std::errc::no_space_on_device);
  CHECK(full.log->cancels == 1);
  CHECK(system_code_of([&] { Body("text").pipe_to(folder / "."); }) == std::errc::is_a_directory);
  CHECK(open_fds() == fds);
}

TEST_CASE("json: makes what JsonTraits makes of the text, and passes on what it throws") {
  CHECK(Body("\xEF\xBB\xBF 17").json<int>() == 17);
  CHECK_THROWS_AS(Body("none").json<int>(), std::invalid_argument);
  CHECK(code_of([] { Body("1000").json<int>(3); }) == errc::too_large);
  Response response;
  response.body = "18";
  CHECK(response.json<int>() == 18);
  CHECK(code_of([&] { response.json<int>(); }) == errc::body_used);
}

TEST_SUITE_END();
