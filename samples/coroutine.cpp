// Fetches URLs at the same time and prints each body's size when it is complete: coroutine URL...
#include <coroutine>
#include <cstdio>
#include <exception>
#include <latch>
#include <string>
#include <weir/weir.hpp>

struct Task {
  struct promise_type {
    Task get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

Task show_size(weir::Client& client, std::string url, std::latch& running) {
  try {
    // One with options is awaited by its name: auto pending = client.async_fetch(url, {...});
    weir::Response response = co_await client.async_fetch(url);
    weir::Reader reader = response.body.reader();
    std::size_t size = 0;
    while (auto chunk = co_await reader.async_read()) size += chunk->size();
    std::printf("%d, %zu bytes: %s\n", response.status, size, url.c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  running.count_down();
}

int main(int argc, char** argv) {
  std::latch running(argc - 1);
  weir::Client client;  // whose end waits for the thread that runs the coroutines
  for (int i = 1; i < argc; ++i) show_size(client, argv[i], running);
  running.wait();
}
