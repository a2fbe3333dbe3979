#pragma once

#include <span>

/// The subcommands of weir-harness, each in a file of its own. `args`: what follows the name of the
/// subcommand. Each returns the program's exit code: 0 well, 1 failed, 2 wrong usage.
namespace weir::harness::cmd {

int serve(std::span<char* const> args);
int read(std::span<char* const> args);
int sse(std::span<char* const> args);
int demo(std::span<char* const> args);

}  // namespace weir::harness::cmd
