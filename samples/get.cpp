// Reads a body piece by piece and writes it to stdout: get URL
#include <cstdio>
#include <exception>
#include <weir/weir.hpp>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s URL\n", argv[0]);
    return 2;
  }
  try {
    weir::Response response = weir::fetch(argv[1]);
    std::fprintf(stderr, "status %d\n", response.status);
    for (const weir::Chunk& chunk : response.body.reader()) {
      // However slow the terminal or the pipe is: memory stays bounded, and the server waits.
      if (std::fwrite(chunk.bytes().data(), 1, chunk.size(), stdout) != chunk.size()) break;
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      std::perror("stdout");
      return 1;
    }
    return response.ok() ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
