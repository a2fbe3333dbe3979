// Numbers the lines of a text of any length, in constant memory: lines URL
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <weir/weir.hpp>

// One Chunk for each line, wherever the server has cut them; what waits for its end is limited.
weir::Generator<weir::Chunk> split_lines(weir::Reader reader) {
  constexpr std::size_t kLongest = std::size_t{1} << 20;
  std::string line;
  for (const weir::Chunk& chunk : reader) {
    for (const char c : chunk.text()) {
      line += c;
      if (c != '\n' && line.size() < kLongest) continue;
      co_yield weir::Chunk::copy_of(line);
      line.clear();
    }
  }
  if (!line.empty()) co_yield weir::Chunk::copy_of(line);
}

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s URL\n", argv[0]);
    return 2;
  }
  try {
    weir::Response response = weir::fetch(argv[1]);
    weir::Body lines = std::move(response.body).pipe_through(split_lines);
    unsigned long number = 0;
    std::move(lines).pipe_to([&number](const weir::Chunk& line) {
      std::printf("%6lu  %.*s", ++number, static_cast<int>(line.size()), line.text().data());
    });
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
