#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

extern char** environ;

namespace weir::test {

/// The path in an environment variable that ctest sets.
inline std::string program_of(const char* variable) {
  const char* const path = std::getenv(variable);
  if (path == nullptr) throw std::runtime_error(std::string(variable) + " is not set");
  return path;
}

/// The path of a program that stands where programs do; empty if there is none.
inline std::string installed(const std::string& name) {
  for (const char* folder : {"/usr/bin/", "/usr/local/bin/"}) {
    if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
  }
  return {};
}

/// A program under way; its standard output is ours to read. Killed if nobody waited for it.
class Subprocess {
 public:
  explicit Subprocess(std::vector<std::string> words) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category());
    output_ = ends[0];
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const int failed =
        ::posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (failed == 0) return;
    ::close(output_);
    throw std::system_error(failed, std::generic_category(), words[0]);
  }
  Subprocess(const Subprocess&) = delete;
  Subprocess& operator=(const Subprocess&) = delete;
  ~Subprocess() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      wait();
    }
    ::close(output_);
  }

  /// The next line it prints; empty at the end.
  std::string line() {
    std::string text;
    for (char c = 0; ::read(output_, &c, 1) == 1 && c != '\n';) text += c;
    return text;
  }
  void signal(int number) const noexcept { ::kill(pid_, number); }
  /// Waits for its end: its exit code, or 128 + the signal that killed it.
  int wait() noexcept {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

/// `weir-harness serve` in a process of its own, so that what we measure of ours is ours.
class ServerProcess {
 public:
  explicit ServerProcess(bool tls = false, bool http2 = false)
      : process_(command(tls, http2)), ready_(process_.line()) {
    if (url().empty()) throw std::runtime_error("weir-harness serve: no URL in '" + ready_ + "'");
  }
  ~ServerProcess() {
    process_.signal(SIGTERM);
    process_.wait();
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  std::string url(std::string_view path = {}) const { return value("url").append(path); }
  /// PEM; empty without TLS.
  std::string ca() const { return value("ca"); }

 private:
  static std::vector<std::string> command(bool tls, bool http2) {
    std::vector<std::string> words{program_of("WEIR_HARNESS"), "serve"};
    if (tls) words.emplace_back("--tls");
    if (http2) words.emplace_back("--http2");
    return words;
  }
  /// A string in the JSON line, its line ends restored; empty if there is none.
  std::string value(std::string_view key) const {
    const std::string begin = "\"" + std::string(key) + "\":\"";
    const std::size_t at = ready_.find(begin);
    if (at == ready_.npos) return {};
    const std::size_t from = at + begin.size();
    std::string text = ready_.substr(from, ready_.find('"', from) - from);
    for (std::size_t i = 0; (i = text.find("\\n", i)) != text.npos;) text.replace(i, 2, "\n");
    return text;
  }

  Subprocess process_;
  std::string ready_;
};

}  // namespace weir::test
