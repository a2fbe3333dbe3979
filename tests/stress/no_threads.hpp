#pragma once

namespace weir::test {

/// As long as one lives, no thread can be made in this program, as if the system had no more.
class NoThreads {
 public:
  NoThreads() noexcept;
  ~NoThreads();
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;
};

}  // namespace weir::test
