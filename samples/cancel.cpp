// Stops a request after a second, whatever it is doing then: cancel URL
#include <chrono>
#include <cstdio>
#include <exception>
#include <future>
#include <stop_token>
#include <weir/weir.hpp>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s URL\n", argv[0]);
    return 2;
  }
  std::stop_source stop;
  auto bytes = std::async(std::launch::async, [&] {
    std::size_t count = 0;
    try {
      weir::Response response = weir::fetch(argv[1], {.stop = stop.get_token()});
      for (const weir::Chunk& chunk : response.body.reader()) count += chunk.size();
      std::fprintf(stderr, "complete\n");
    } catch (const weir::Error& error) {
      if (error.code() != weir::errc::aborted) throw;
      std::fprintf(stderr, "stopped\n");
    }
    return count;
  });
  bytes.wait_for(std::chrono::seconds(1));
  stop.request_stop();
  try {
    std::printf("%zu bytes\n", bytes.get());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
