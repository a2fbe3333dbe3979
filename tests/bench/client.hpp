#pragma once

#include <sys/resource.h>

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace weir::bench {

inline constexpr const char* kUsage =
    "download URL | requests URL COUNT IN_FLIGHT [threads|async]\n"
    "  [--http 1.1|2] [--ca FILE]\n"
    "  Prints one line of JSON. Exit code 3: this build cannot do it.\n";

/// What both programs are told.
struct Job {
  bool download = true;
  std::string url{};
  std::uint64_t count = 1;
  std::size_t in_flight = 1;
  bool async = false;  ///< Requests in flight are pending on one thread, not blocking one each.
  bool http2 = false;
  std::string ca_file{};
};

inline std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) {
    throw std::invalid_argument("not a number above 0: " + std::string(text));
  }
  return value;
}

/// Throws std::invalid_argument.
inline Job parse(std::span<const char* const> words) {
  Job job;
  std::size_t place = 0;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i];
    const bool option = word.starts_with("--");
    if (option && ++i == words.size()) throw std::invalid_argument("what value?");
    if (word == "--ca") {
      job.ca_file = words[i];
    } else if (word == "--http") {
      job.http2 = std::string_view(words[i]) == "2";
    } else if (place == 0 && (word == "download" || word == "requests")) {
      job.download = word == "download";
      ++place;
    } else if (place == 1) {
      job.url = word;
      place += job.download ? 4 : 1;
    } else if (place == 2) {
      job.count = number(word);
      ++place;
    } else if (place == 3) {
      job.in_flight = number(word);
      ++place;
    } else if (place == 4 && (word == "threads" || word == "async")) {
      job.async = word == "async";
      ++place;
    } else {
      throw std::invalid_argument("unexpected: " + std::string(word));
    }
  }
  if (place < 4) throw std::invalid_argument("too few arguments");
  return job;
}

/// Looks at every cache line, as a reader would that uses what it gets.
inline void touch(std::span<const std::byte> bytes) noexcept {
  constexpr std::size_t kLine = 64;
  std::byte all{};
  for (std::size_t i = 0; i < bytes.size(); i += kLine) all ^= bytes[i];
  [[maybe_unused]] const volatile std::byte seen = all;
}

/// Measures this process from its construction on.
class Meter {
 public:
  Meter() : started_(std::chrono::steady_clock::now()) { ::getrusage(RUSAGE_SELF, &before_); }

  /// `more`: further fields, each with a comma before it.
  void print(std::uint64_t bytes, std::uint64_t requests, std::uint64_t turns,
             const std::string& more = "") const {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started_;
    rusage now{};
    ::getrusage(RUSAGE_SELF, &now);
    const long switches = now.ru_nvcsw - before_.ru_nvcsw + now.ru_nivcsw - before_.ru_nivcsw;
    std::printf(
        "{\"bytes\":%llu,\"requests\":%llu,\"seconds\":%.6f,\"user\":%.6f,\"system\":%.6f,"
        "\"turns\":%llu,\"switches\":%ld,\"peak_rss\":%ld%s}\n",
        static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(requests),
        took.count(), seconds(now.ru_utime) - seconds(before_.ru_utime),
        seconds(now.ru_stime) - seconds(before_.ru_stime), static_cast<unsigned long long>(turns),
        switches, now.ru_maxrss << 10, more.c_str());
  }

 private:
  static double seconds(const timeval& time) noexcept {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  }

  std::chrono::steady_clock::time_point started_;
  rusage before_{};
};

/// A program's main(): `run(const Job&)` returns its exit code.
template <class Run>
int main_of(int count, char** words, Run&& run) {
  try {
    return run(parse(std::span<const char* const>(words, static_cast<std::size_t>(count))));
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "%s: %s\nusage: %s", words[0], error.what(), kUsage);
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", words[0], error.what());
    return 1;
  }
}

}  // namespace weir::bench
