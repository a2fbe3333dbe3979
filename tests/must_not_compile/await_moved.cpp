// error: (use of deleted function|overload resolution selected deleted operator)
#include <coroutine>
#include <exception>
#include <utility>

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

Detached misuse() {
  weir::PendingResponse pending = weir::async_fetch("http://localhost/", {.method = "PUT"});
#ifdef WEIR_MISUSE
  weir::Response response = co_await std::move(pending);
#else
  weir::Response response = co_await pending;
#endif
}
