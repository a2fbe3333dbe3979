#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "weir/chunk.hpp"

namespace weir::harness::cmd {

/// A file written from its beginning, with no buffer of its own.
/// Throws std::system_error that names the file.
class OutFile {
 public:
  explicit OutFile(const std::string& path)
      : path_(path), file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
    if (file_ < 0) fail("open");
  }
  ~OutFile() {
    if (file_ >= 0) ::close(file_);
  }
  OutFile(const OutFile&) = delete;
  OutFile& operator=(const OutFile&) = delete;

  void write(Bytes bytes) {
    while (!bytes.empty()) {
      const auto written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0 && errno != EINTR) fail("write");
      if (written > 0) bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
  /// Some file systems tell only here that the bytes did not reach the disk.
  void close() {
    const int file = file_;
    file_ = -1;
    if (::close(file) != 0) fail("close");
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw std::system_error(errno, std::generic_category(),
                            std::string("cannot ") + what + " " + path_);
  }

  std::string path_;
  int file_;
};

}  // namespace weir::harness::cmd
