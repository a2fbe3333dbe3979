// Prints the server-sent events of a URL as they come, for ever: sse URL
#include <cstdio>
#include <exception>
#include <utility>
#include <weir/weir.hpp>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s URL\n", argv[0]);
    return 2;
  }
  try {
    weir::Client client;
    weir::EventSourceOptions options;
    options.on_disconnect = [](const weir::Error& error) {  // it connects again by itself
      std::fprintf(stderr, "%s\n", error.what());
    };
    weir::EventSource events(client, argv[1], std::move(options));
    for (const weir::Event& event : events) {
      std::printf("%s: %s\n", event.type.c_str(), event.data.c_str());
      std::fflush(stdout);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
