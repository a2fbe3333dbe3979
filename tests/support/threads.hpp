#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace weir::test {

/// A field of /proc/self/task/<id>/status of the thread with that name; empty if there is none.
inline std::string thread_status(const std::string& name, const std::string& field) {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(task.path() / "status");
    bool found = false;
    for (std::string line; std::getline(status, line);) {
      if (line == "Name:\t" + name) found = true;
      if (found && line.rfind(field + ":\t", 0) == 0) return line.substr(field.size() + 2);
    }
  }
  return {};
}

}  // namespace weir::test
