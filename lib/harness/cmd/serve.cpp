#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include "harness/cmd/commands.hpp"
#include "harness/cmd/options.hpp"
#include "weir/harness/firehose.hpp"

namespace weir::harness::cmd {
namespace {

constexpr const char* kUsage =
    "usage: weir-harness serve [--port N] [--tls] [--http2] [--ping-interval S] "
    "[--ping-timeout S]\n"
    "  Prints {\"url\":...,\"ca\":...,\"pid\":...} when ready and serves until SIGTERM or SIGINT.\n"
    "  --port N  listen on this port of 127.0.0.1 (default: a free one)\n"
    "  --tls     HTTPS; the certificate to trust is in \"ca\"\n"
    "  --http2   HTTP/2 too: by ALPN with --tls, else by prior knowledge\n"
    "  --ping-interval S  HTTP/2: send a PING every S seconds (default: none)\n"
    "  --ping-timeout S   HTTP/2: close what leaves a PING unanswered for S seconds (default: "
    "never)\n";

int usage(const std::string& problem) {
  std::fprintf(stderr, "weir-harness serve: %s\n%s", problem.c_str(), kUsage);
  return 2;
}

void set_option(FirehoseOptions& options, std::string_view name, Arguments& arguments) {
  if (name == "--tls") {
    options.tls = true;
  } else if (name == "--http2") {
    options.http2 = true;
  } else if (name == "--port") {
    options.port = static_cast<std::uint16_t>(arguments.count(0, 65535));
  } else if (name == "--ping-interval") {
    options.ping_interval = arguments.seconds();
  } else if (name == "--ping-timeout") {
    options.ping_timeout = arguments.seconds();
  } else {
    throw UsageError("unknown option '" + std::string(name) + "'");
  }
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
  Arguments arguments(args);
  try {
    while (const auto name = arguments.next()) {
      if (!arguments.is_option()) {
        throw UsageError("unknown argument '" + std::string(*name) + "'");
      }
      if (*name == "--help" || *name == "-h") {
        std::fputs(kUsage, stdout);
        return 0;
      }
      set_option(options, *name, arguments);
    }
  } catch (const UsageError& problem) {
    return usage(problem.what());
  }
  return serve_until_signalled(options);
}

}  // namespace weir::harness::cmd
