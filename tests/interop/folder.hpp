#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <unistd.h>

#include "support/child.hpp"
#include "weir/harness/firehose.hpp"

namespace weir::test {

/// A folder of its own that is gone afterwards.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "weir-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(), "mkdtemp");
    }
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// Writes `size` bytes of the pattern of `seed` to a file.
inline void make_file(const std::filesystem::path& path, std::uint64_t seed, std::uint64_t size) {
  std::ofstream file(path, std::ios::binary);
  std::vector<std::byte> piece(std::size_t{1} << 20);
  for (std::uint64_t offset = 0; offset < size; offset += piece.size()) {
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), size - offset));
    harness::pattern::fill(seed, offset, std::span(piece).first(count));
    file.write(reinterpret_cast<const char*>(piece.data()), static_cast<std::streamsize>(count));
  }
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

/// Writes a certificate for 127.0.0.1, its own authority, to cert.pem and its key to key.pem.
inline void make_certificate(const std::filesystem::path& folder) {
  run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
       "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
       "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "key.pem", "-out",
       folder / "cert.pem"});
}

/// The first of these that can be run; empty if there is none.
inline std::string find_program(const char* variable, std::string_view name) {
  const char* const named = std::getenv(variable);
  std::vector<std::string> paths{named != nullptr ? named : ""};
  for (const char* folder : {"/usr/sbin/", "/usr/local/sbin/", "/usr/bin/", "/usr/local/bin/"}) {
    paths.emplace_back(folder).append(name);
  }
  for (const std::string& path : paths) {
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

}  // namespace weir::test
