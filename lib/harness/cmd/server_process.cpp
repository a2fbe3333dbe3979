#include "harness/cmd/server_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace weir::harness::cmd {
namespace {

constexpr int kStartMilliseconds = 10'000;  // making a CA takes a moment on a slow machine

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// Runs in the child: nothing but system calls, since the parent may have other threads.
[[noreturn]] void serve_in_child(int out, pid_t parent, bool tls) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);  // it is gone already
  ::dup2(out, STDOUT_FILENO);
  const char* const args[] = {"weir-harness", "serve", "--http2", tls ? "--tls" : nullptr, nullptr};
  ::execv("/proc/self/exe", const_cast<char* const*>(args));
  ::_exit(127);
}

/// The line the server prints when it is ready; empty if there is none in time.
std::string read_line(int file) {
  std::string line;
  while (true) {
    pollfd ready{file, POLLIN, 0};
    if (::poll(&ready, 1, kStartMilliseconds) != 1) return {};
    std::array<char, 4096> piece{};
    const auto size = ::read(file, piece.data(), piece.size());
    if (size <= 0) return {};
    line.append(piece.data(), static_cast<std::size_t>(size));
    if (line.ends_with('\n')) return line;
  }
}

/// A string field of that line, whose only escape is \n.
std::string field_of(const std::string& line, const std::string& name) {
  const std::string start = '"' + name + "\":\"";
  const auto found = line.find(start);
  if (found == std::string::npos) return {};
  std::string value;
  for (std::size_t i = found + start.size(); i < line.size() && line[i] != '"'; ++i) {
    if (line[i] != '\\')
      value += line[i];
    else if (line[++i] == 'n')
      value += '\n';
  }
  return value;
}

}  // namespace

ServerProcess::ServerProcess(bool tls) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe");
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) serve_in_child(ends[1], parent, tls);
  ::close(ends[1]);
  if (pid_ < 0) {
    ::close(ends[0]);
    fail("fork");
  }
  const std::string line = read_line(ends[0]);
  ::close(ends[0]);
  url_ = field_of(line, "url");
  ca_pem_ = field_of(line, "ca");
  if (!url_.empty()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  throw std::runtime_error("the server did not start");
}

ServerProcess::~ServerProcess() {
  ::kill(pid_, SIGTERM);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace weir::harness::cmd
