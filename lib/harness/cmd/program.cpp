#include "harness/cmd/program.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

namespace weir::harness::cmd {
namespace {

std::atomic<bool> was_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // a signal handler sets it

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { was_interrupted = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

// Were stdin, stdout or stderr closed, a socket would take its place and get the lines.
void hold_standard_streams() {
  int file = 0;
  while (file >= 0 && file <= STDERR_FILENO) file = ::open("/dev/null", O_RDONLY);
  if (file > STDERR_FILENO) ::close(file);
}

}  // namespace

void become_interruptible() {
  hold_standard_streams();
  catch_signals();
}

bool interrupted() noexcept { return was_interrupted; }

bool print_line(const char* subcommand, const std::string& line) {
  const bool written = std::printf("%s\n", line.c_str()) >= 0;
  if (std::fflush(stdout) == 0 && written) return true;
  std::perror(("weir-harness " + std::string(subcommand) + ": stdout").c_str());
  return false;
}

}  // namespace weir::harness::cmd
