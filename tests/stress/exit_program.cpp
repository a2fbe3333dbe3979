// exit_program URL 1|2|2pk [CA]: returns from main() while bodies of the shared client stream, with
// a Response in a static variable, and coroutines suspended. CA: a PEM file that libcurl shall
// trust.

#include <curl/curl.h>
#include <dlfcn.h>

#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/weir.hpp"

namespace {

const char* trusted = nullptr;

// Outlive main(), and are destroyed after the shared client was stopped or before: as it comes.
std::optional<weir::Response> before_client;
std::vector<weir::Reader> readers;

weir::HttpVersion version = weir::HttpVersion::http1;

/// A coroutine that nobody waits for.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

/// Reads what never comes, and is suspended when the process exits.
Detached read_for_ever(weir::PendingResponse pending) {
  try {
    weir::Response response = co_await pending;
    weir::Reader reader = response.body.reader();
    while (co_await reader.async_read()) {
    }
  } catch (const weir::Error&) {
  }
}

}  // namespace

// The shared client has no options; this stands before libcurl's own function, to give it a CA.
extern "C" __attribute__((visibility("default"))) CURL* curl_easy_init() {
  static const auto real = reinterpret_cast<CURL* (*)()>(::dlsym(RTLD_NEXT, "curl_easy_init"));
  CURL* const easy = real();
  if (easy != nullptr && trusted != nullptr) curl_easy_setopt(easy, CURLOPT_CAINFO, trusted);
  return easy;
}

int main(int argc, char** argv) try {
  if (argc < 3) return 2;
  if (argc > 3) trusted = argv[3];
  const std::string url = argv[1];
  const std::string_view named = argv[2];
  if (named == "2") version = weir::HttpVersion::http2;
  if (named == "2pk") version = weir::HttpVersion::http2_prior_knowledge;
  const auto fetch = [](const std::string& what) {
    return weir::fetch(what, {.version = version});
  };
  const std::string endless = url + "/bytes/9000000000000";

  before_client = fetch(endless);
  static weir::Response after_client = fetch(endless);
  static weir::Client own;  // goes before the shared client stops
  static std::optional<weir::Response> of_own;
  if (trusted == nullptr) of_own = own.fetch(endless, {.version = version});

  for (int i = 0; i < 4; ++i) {
    readers.push_back(fetch(endless).body.reader());
    if (!readers.back().read()) return 1;
  }
  readers.push_back(fetch(url + "/bytes/100?stall_after=10").body.reader());
  if (!readers.back().read()) return 1;
  const std::string stalls = url + "/bytes/100?stall_after=10";
  read_for_ever(weir::async_fetch(stalls, {.version = version}));
  read_for_ever(weir::async_fetch(url + "/hang", {.version = version}));
  if (trusted == nullptr) read_for_ever(own.async_fetch(stalls, {.version = version}));
  // Runs after the shared client was stopped: this was registered before it was made.
  return after_client.status == 200 && before_client->ok() ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "exit_program: %s\n", error.what());
  return 1;
}
