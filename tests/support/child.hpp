#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace weir::test {

/// A program that runs beside the test and ends with it, whatever becomes of the test.
/// Thread-safety: one thread, which must outlive it.
class Child {
 public:
  enum class Read { output, output_and_errors };  ///< by line(); the rest is the test's own

  /// Starts `arguments[0]`, with `environment` ("NAME=value") added. Throws std::system_error.
  explicit Child(std::vector<std::string> arguments, std::vector<std::string> environment = {},
                 Read read = Read::output) {
    int out[2];
    if (::pipe2(out, O_CLOEXEC) != 0) throw_errno("pipe");
    std::vector<char*> words;
    for (std::string& word : arguments) words.push_back(word.data());
    words.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) throw_errno("fork");
    if (pid_ == 0) become(words.data(), environment, out[1], read);
    ::close(out[1]);
    out_ = out[0];
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (!ended_) {
      signal(SIGTERM);
      wait();
    }
    ::close(out_);
  }

  pid_t pid() const noexcept { return pid_; }
  void signal(int number) const noexcept {
    if (!ended_) ::kill(pid_, number);
  }
  /// Waits for its end; the exit code, or minus the signal.
  int wait() {
    while (!ended_) {
      if (::waitpid(pid_, &status_, 0) == pid_)
        ended_ = true;
      else if (errno != EINTR)
        throw_errno("waitpid");
    }
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_);
  }
  /// The next line of its standard output, without the line feed; shorter at the end of it.
  std::string line() {
    std::string text;
    for (char c = 0; ::read(out_, &c, 1) == 1 && c != '\n';) text += c;
    return text;
  }

 private:
  [[noreturn]] static void throw_errno(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
  }
  [[noreturn]] static void become(char* const* words, std::vector<std::string>& environment,
                                  int out, Read read) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    ::dup2(out, STDOUT_FILENO);
    if (read == Read::output_and_errors) ::dup2(out, STDERR_FILENO);
    for (std::string& setting : environment) ::putenv(setting.data());
    ::execvp(words[0], words);
    ::_exit(127);
  }

  pid_t pid_ = -1;
  int out_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

/// Runs a program to its end, in silence. Throws if it does not end well.
inline void run(std::vector<std::string> arguments) {
  const std::string name = arguments.front();
  Child child(std::move(arguments), {}, Child::Read::output_and_errors);
  std::string said;
  for (std::string line; !(line = child.line()).empty();) said += line + "\n";
  const int code = child.wait();
  if (code != 0)
    throw std::runtime_error(name + " ended with " + std::to_string(code) + ":\n" + said);
}

}  // namespace weir::test
