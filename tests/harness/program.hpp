#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace weir::harness::test {

/// What a program left behind.
struct Finished {
  int code = 0;  // of exit; minus the signal that ended it
  std::string out{};
  std::string err{};
};

/// The built weir-harness, run with a command line; it ends with this object.
/// Throws std::system_error, or std::runtime_error without WEIR_HARNESS.
/// Thread-safety: one thread, which must outlive it.
class Program {
 public:
  /// `out`: a file for its standard output, in place of memory.
  explicit Program(std::vector<std::string> args, const char* out = nullptr)
      : out_(out != nullptr ? checked(::open(out, O_WRONLY | O_CLOEXEC), out) : memory()),
        err_(memory()) {
    const char* const path = std::getenv("WEIR_HARNESS");
    if (path == nullptr) throw std::runtime_error("WEIR_HARNESS must name the program");
    std::vector<char*> words{const_cast<char*>(path)};
    for (std::string& arg : args) words.push_back(arg.data());
    words.push_back(nullptr);
    pid_ = checked(::fork(), "fork");
    if (pid_ == 0) become(words.data());
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    if (pid_ > 0) {
      send(SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(out_);
    ::close(err_);
  }

  void send(int signal) const { ::kill(pid_, signal); }

  Finished wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return {code, content_of(out_), content_of(err_)};
  }

 private:
  static int checked(int result, const char* what) {
    if (result < 0) throw std::system_error(errno, std::generic_category(), what);
    return result;
  }
  static int memory() { return checked(::memfd_create("output", MFD_CLOEXEC), "memfd_create"); }
  static std::string content_of(int file) {
    std::string all;
    std::array<char, 4096> piece{};
    while (true) {
      const auto size = ::pread(file, piece.data(), piece.size(), static_cast<off_t>(all.size()));
      if (size <= 0) return all;
      all.append(piece.data(), static_cast<std::size_t>(size));
    }
  }
  [[noreturn]] void become(char* const* words) const {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(out_, STDOUT_FILENO);
    ::dup2(err_, STDERR_FILENO);
    ::execv(words[0], words);
    ::_exit(127);
  }

  int out_;
  int err_;
  pid_t pid_ = 0;
};

inline Finished run_program(std::vector<std::string> args, const char* out = nullptr) {
  return Program(std::move(args), out).wait();
}

}  // namespace weir::harness::test
