#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <system_error>

// What this process uses. Nothing here leaves memory allocated, so that differences can be
// asserted. RSS and heap say nothing under a sanitizer: see under_sanitizer().

namespace weir::test {

namespace memory_detail {

// The number after `key` in a file of /proc, whose first 4 KiB must hold it.
inline std::size_t number_in(const char* path, const char* key) {
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) throw std::system_error(errno, std::generic_category(), path);
  std::array<char, 4096> text{};
  const auto size = ::read(file, text.data(), text.size() - 1);
  ::close(file);
  const char* const found = size > 0 ? std::strstr(text.data(), key) : nullptr;
  if (found == nullptr) throw std::runtime_error(std::string("no ") + key + " in " + path);
  return std::strtoull(found + std::strlen(key), nullptr, 10);
}

inline std::size_t entries_of(const char* path) {
  DIR* const directory = ::opendir(path);
  if (directory == nullptr) throw std::system_error(errno, std::generic_category(), path);
  std::size_t count = 0;
  while (const dirent* const entry = ::readdir(directory)) count += entry->d_name[0] != '.';
  ::closedir(directory);
  return count;
}

}  // namespace memory_detail

/// Bytes of physical memory mapped now (`VmRSS`, exact to some pages per thread).
inline std::size_t rss() { return memory_detail::number_in("/proc/self/status", "VmRSS:") * 1024; }

/// The highest `rss()` so far (`VmHWM`), since the process started or `reset_peak_rss()`.
inline std::size_t peak_rss() {
  return memory_detail::number_in("/proc/self/status", "VmHWM:") * 1024;
}

inline void reset_peak_rss() {
  const int file = ::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (file < 0) throw std::system_error(errno, std::generic_category(), "clear_refs");
  const auto written = ::write(file, "5", 1);
  ::close(file);
  if (written != 1) throw std::runtime_error("clear_refs refused");
}

/// Bytes allocated from malloc now, in all arenas and in mappings of their own. Small blocks
/// that a thread keeps for itself after free() still count (at most 7 of each size), unless
/// GLIBC_TUNABLES says glibc.malloc.tcache_count=0.
inline std::size_t heap_in_use() {
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// Gives what is free back to the system, before an `rss()` that others are compared with.
inline void trim_heap() { ::malloc_trim(0); }

inline std::size_t open_fds() {
  return memory_detail::entries_of("/proc/self/fd") - 1;  // less the one that lists them
}

inline std::size_t thread_count() { return memory_detail::entries_of("/proc/self/task"); }

}  // namespace weir::test
