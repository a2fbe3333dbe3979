#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "harness/cmd/commands.hpp"
#include "weir/harness/firehose.hpp"

namespace weir::harness::cmd {
namespace {

constexpr const char* kUsage =
    "usage: weir-harness serve [--port N] [--tls] [--http2]\n"
    "  Prints {\"url\":...,\"ca\":...,\"pid\":...} when ready and serves until SIGTERM or SIGINT.\n"
    "  --port N  listen on this port of 127.0.0.1 (default: a free one)\n"
    "  --tls     HTTPS; the certificate to trust is in \"ca\"\n"
    "  --http2   not available yet\n";

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, port);
  return problem == std::errc() && stop == end ? std::optional(port) : std::nullopt;
}

int usage(const std::string& problem) {
  std::fprintf(stderr, "weir-harness serve: %s\n%s", problem.c_str(), kUsage);
  return 2;
}

// PEM and URLs hold nothing else that JSON would mind.
std::string json_of(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out + '"';
}

int serve_until_signalled(const FirehoseOptions& options) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);  // before any thread: sigwait takes them
  try {
    const Firehose firehose(options);
    const std::string ca = options.tls ? json_of(firehose.ca_pem()) : "null";
    std::printf("{\"url\":%s,\"ca\":%s,\"pid\":%ld}\n", json_of(firehose.url()).c_str(), ca.c_str(),
                static_cast<long>(getpid()));
    std::fflush(stdout);
    int signal = 0;
    sigwait(&ends, &signal);
    return 0;
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "weir-harness serve: %s\n", problem.what());
    return 1;
  }
}

}  // namespace

int serve(std::span<char* const> args) {
  FirehoseOptions options;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string_view arg = args[i];
    if (arg == "--help" || arg == "-h") {
      std::fputs(kUsage, stdout);
      return 0;
    }
    if (arg == "--tls") {
      options.tls = true;
    } else if (arg == "--http2") {
      return usage("--http2 is not supported yet: HTTP/1.1 only");
    } else if (arg == "--port") {
      const auto port = i + 1 < args.size() ? port_of(args[i + 1]) : std::nullopt;
      if (!port) return usage("--port needs a number from 0 to 65535");
      options.port = *port;
      ++i;
    } else {
      return usage("unknown option '" + std::string(arg) + "'");
    }
  }
  return serve_until_signalled(options);
}

}  // namespace weir::harness::cmd
