#include "net/memory_file.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>

#include "weir/error.hpp"

namespace weir::net {

namespace {

[[noreturn]] void refuse(const char* what) {
  if (errno == ENOMEM || errno == ENOSPC) throw std::bad_alloc();
  const bool exhausted = errno == EMFILE || errno == ENFILE;
  throw Error({.code = exhausted ? errc::resource_exhausted : errc::unsupported,
               .detail = std::string(what) + ": " + std::generic_category().message(errno)});
}

}  // namespace

MemoryFile::MemoryFile(std::string_view text)
    : fd_(::memfd_create("weir", MFD_CLOEXEC)), path_("/proc/self/fd/" + std::to_string(fd_)) {
  if (fd_ < 0) refuse("memfd_create");
  try {
    write(text);
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

MemoryFile::~MemoryFile() { ::close(fd_); }

void MemoryFile::write(std::string_view text) const {
  while (!text.empty()) {
    const auto count = ::write(fd_, text.data(), text.size());
    if (count < 0 && errno != EINTR) refuse("write");
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::access(path_.c_str(), R_OK) != 0) refuse(path_.c_str());  // no /proc
}

}  // namespace weir::net
