#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

namespace weir::harness::test {

/// A file below the system's temporary folder, removed at the end.
/// Throws std::system_error.
class TempFile {
 public:
  explicit TempFile(const std::string& content = {}) {
    const int file = ::mkstemp(name_.data());
    if (file < 0) throw std::system_error(errno, std::generic_category(), "mkstemp");
    ::close(file);
    std::ofstream(name_) << content;
  }
  ~TempFile() { std::remove(name_.c_str()); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;

  const std::string& name() const { return name_; }
  std::string content() const {
    std::ifstream file(name_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string name_ = "/tmp/weir-test-XXXXXX";
};

}  // namespace weir::harness::test
