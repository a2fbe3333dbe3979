#include <cstdio>
#include <span>
#include <string_view>

#include "harness/cmd/commands.hpp"

namespace {

constexpr const char* kUsage =
    "usage: weir-harness serve|read|sse|demo [options]\n"
    "  serve  a loopback server whose behaviour is in the URL\n"
    "  read   reads a URL at a chosen pace and reports what it took\n"
    "  sse    prints the server-sent events of a URL, and what becomes of its connections\n"
    "  demo   shows on the embedded server that a slow reader slows the server\n";

}  // namespace

int main(int argc, char** argv) {
  const std::span<char* const> args(argv, static_cast<std::size_t>(argc));
  const std::string_view command = argc > 1 ? argv[1] : "";
  namespace cmd = weir::harness::cmd;
  if (command == "serve") return cmd::serve(args.subspan(2));
  if (command == "read") return cmd::read(args.subspan(2));
  if (command == "sse") return cmd::sse(args.subspan(2));
  if (command == "demo") return cmd::demo(args.subspan(2));
  const bool asked = command == "--help" || command == "-h";
  std::fputs(kUsage, asked ? stdout : stderr);
  return asked ? 0 : 2;
}
