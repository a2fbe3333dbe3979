#pragma once

#include <dirent.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <system_error>

namespace weir::test {

/// CPU time, user and system, that all threads named weir-io of this process have used.
inline std::chrono::nanoseconds io_thread_time() {
  DIR* const directory = ::opendir("/proc/self/task");
  if (directory == nullptr) throw std::system_error(errno, std::generic_category(), "threads");
  std::chrono::nanoseconds total{0};
  while (const dirent* const entry = ::readdir(directory)) {
    const std::string folder = std::string("/proc/self/task/") + entry->d_name;
    std::string name;
    if (!std::getline(std::ifstream(folder + "/comm"), name) || name != "weir-io") continue;
    long long nanoseconds = 0;
    std::ifstream(folder + "/schedstat") >> nanoseconds;  // finer than the ticks in `stat`
    total += std::chrono::nanoseconds(nanoseconds);
  }
  ::closedir(directory);
  return total;
}

}  // namespace weir::test
