#pragma once

#include <string>
#include <string_view>

namespace weir::net {

/// A file that exists in memory only, for libraries that take nothing but names of files.
///
/// It has no name that another user's process could open, and nothing is left on a disk.
/// Memory: the text's. Holds one descriptor, which children do not inherit.
/// Thread-safety: none needed, it never changes.
class MemoryFile {
 public:
  /// Throws Error: resource_exhausted without a descriptor, else unsupported; std::bad_alloc.
  explicit MemoryFile(std::string_view text);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  /// Opens it, from its beginning, in this process and as long as this object lives.
  const std::string& path() const noexcept { return path_; }

 private:
  void write(std::string_view text) const;

  const int fd_;
  std::string path_;
};

}  // namespace weir::net
