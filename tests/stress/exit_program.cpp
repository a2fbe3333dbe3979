// exit_program URL [CA]: returns from main() while bodies of the shared client stream, with a
// Response in a static variable. CA: a PEM file that libcurl shall trust.

#include <curl/curl.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "weir/weir.hpp"

namespace {

const char* trusted = nullptr;

// Outlive main(), and are destroyed after the shared client was stopped or before: as it comes.
std::optional<weir::Response> before_client;
std::vector<weir::Reader> readers;

}  // namespace

// The shared client has no options; this stands before libcurl's own function, to give it a CA.
extern "C" __attribute__((visibility("default"))) CURL* curl_easy_init() {
  static const auto real = reinterpret_cast<CURL* (*)()>(::dlsym(RTLD_NEXT, "curl_easy_init"));
  CURL* const easy = real();
  if (easy != nullptr && trusted != nullptr) curl_easy_setopt(easy, CURLOPT_CAINFO, trusted);
  return easy;
}

int main(int argc, char** argv) try {
  if (argc < 2) return 2;
  if (argc > 2) trusted = argv[2];
  const std::string url = argv[1];
  const std::string endless = url + "/bytes/9000000000000";

  before_client = weir::fetch(endless);
  static weir::Response after_client = weir::fetch(endless);
  static weir::Client own;  // goes before the shared client stops
  static std::optional<weir::Response> of_own;
  if (trusted == nullptr) of_own = own.fetch(endless);

  for (int i = 0; i < 4; ++i) {
    readers.push_back(weir::fetch(endless).body.reader());
    if (!readers.back().read()) return 1;
  }
  readers.push_back(weir::fetch(url + "/bytes/100?stall_after=10").body.reader());
  if (!readers.back().read()) return 1;
  // Runs after the shared client was stopped: this was registered before it was made.
  return after_client.status == 200 && before_client->ok() ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "exit_program: %s\n", error.what());
  return 1;
}
