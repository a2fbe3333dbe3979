// Reads at 1 MiB/s for ten seconds, and shows what that costs: slow_reader URL
#include <chrono>
#include <cstdio>
#include <exception>
#include <thread>
#include <vector>
#include <weir/weir.hpp>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s URL\n", argv[0]);
    return 2;
  }
  try {
    weir::Response response = weir::fetch(argv[1]);
    weir::Reader reader = response.body.reader();
    std::vector<std::byte> buffer(std::size_t{1} << 20);
    for (int second = 0; second < 10; ++second) {
      const std::size_t count = reader.read_exactly(buffer);
      const weir::BodyStats stats = reader.stats();
      std::printf("read %5.1f MiB, queued %4.2f MiB (peak %4.2f), %s\n",
                  static_cast<double>(stats.drained) / (1 << 20),
                  static_cast<double>(stats.queued) / (1 << 20),
                  static_cast<double>(stats.peak_queued) / (1 << 20),
                  stats.paused ? "the server waits" : "flowing");
      if (count < buffer.size()) break;  // the end
      std::this_thread::sleep_for(std::chrono::seconds(1));
    }
    const weir::BodyStats stats = reader.stats();
    std::printf("%llu bytes, peak queued %zu, %llu pauses, %llu resumes\n",
                static_cast<unsigned long long>(stats.drained), stats.peak_queued,
                static_cast<unsigned long long>(stats.pauses),
                static_cast<unsigned long long>(stats.resumes));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
