#include "net/memory_file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

using weir::net::MemoryFile;

namespace {

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace

TEST_SUITE_BEGIN("net");

TEST_CASE("MemoryFile: has the text from its beginning, each time that it is opened") {
  for (const std::string& text : {std::string("one\ntwo\n"), std::string(300'000, 'x')}) {
    const MemoryFile file(text);
    CHECK(content(file.path()) == text);
    CHECK(content(file.path()) == text);
  }
}

TEST_CASE("MemoryFile: goes with its object, and is not inherited by other programs") {
  std::string path;
  {
    const MemoryFile file("text");
    path = file.path();
    const int fd = std::stoi(path.substr(path.rfind('/') + 1));
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK(::access(path.c_str(), F_OK) != 0);
}

TEST_SUITE_END();
