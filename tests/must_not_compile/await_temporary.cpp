// error: (use of deleted function|overload resolution selected deleted operator)
#include <coroutine>
#include <exception>

#include "weir/weir.hpp"

struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

Detached misuse(weir::Client& client) {
#ifdef WEIR_MISUSE
  weir::Response response = co_await client.async_fetch("http://localhost/", {.method = "PUT"});
#else
  auto pending = client.async_fetch("http://localhost/", {.method = "PUT"});
  weir::Response response = co_await pending;
  response = co_await client.async_fetch("http://localhost/");
#endif
}
