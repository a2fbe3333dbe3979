#pragma once

#include <string>

namespace weir::harness::cmd {

/// Prepares a subcommand that prints lines and may be interrupted. The first SIGINT or SIGTERM from
/// now on is noted, a second one ends the process; writing to a closed pipe is an error, not a
/// signal; and no file that it opens takes the place of a standard stream that was closed.
void become_interruptible();

/// Whether a signal was noted. Thread-safety: any thread.
bool interrupted() noexcept;

/// Writes `line` to stdout, with a newline, and flushes. False if that failed, which is then told
/// on stderr in the name of `subcommand`.
bool print_line(const char* subcommand, const std::string& line);

}  // namespace weir::harness::cmd
