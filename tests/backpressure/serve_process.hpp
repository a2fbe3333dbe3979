#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "backpressure/wire.hpp"
#include "support/child.hpp"
#include "weir/weir.hpp"

namespace weir::test {

/// What the server says of one body.
struct ServedBody {
  std::uint64_t accepted = 0;  ///< bytes the kernel took
  bool blocked = false;
};

/// `weir-harness serve` in a process of its own, so that this process's memory is the client's
/// alone. It is asked through another client.
class ServeProcess {
 public:
  ServeProcess(bool tls, bool http2) : child_(command(tls, http2)) {
    const std::string ready = child_.line();
    url_ = field(ready, "\"url\":\"", "\"").value_or("");
    if (url_.empty()) throw std::runtime_error("weir-harness serve did not start: " + ready);
    ClientOptions options;
    if (tls) options.tls.ca_pem = ca_ = unescaped(field(ready, "\"ca\":\"", "\"").value_or(""));
    probe_.emplace(options);
    record("");  // the probe's memory is in place from now on
  }

  std::string url(std::string_view path) const { return url_ + std::string(path); }
  const std::string& ca_pem() const noexcept { return ca_; }
  std::uint16_t port() const {
    return static_cast<std::uint16_t>(std::stoi(url_.substr(url_.rfind(':') + 1)));
  }

  /// The newest body of that path, which is its whole target; null if there is none.
  std::optional<ServedBody> record(const std::string& path) {
    const std::string json = probe_->fetch(url("/stats?bodies=1")).text();
    const auto at = json.rfind("\"path\":\"" + path + "\"");
    if (at == std::string::npos) return std::nullopt;
    const std::string rest = json.substr(at);
    const auto accepted = field(rest, "\"bytes_accepted\":", ",");
    const auto blocked = field(rest, "\"blocked\":", ",");
    if (!accepted || !blocked) throw std::runtime_error("cannot read /stats: " + json);
    return ServedBody{std::stoull(*accepted), *blocked == "true"};
  }

  /// Waits until that body is blocked and no byte of it was taken for 100 ms. False: that did not
  /// happen within a minute.
  bool wait_until_blocked(const std::string& path) {
    std::optional<ServedBody> before;
    for (int looks = 0; looks < 600; ++looks) {
      const auto now = record(path);
      if (before && now && before->blocked && now->blocked && before->accepted == now->accepted) {
        return true;
      }
      before = now;
      let_pass(std::chrono::milliseconds(100));
    }
    return false;
  }

 private:
  static std::vector<std::string> command(bool tls, bool http2) {
    std::vector<std::string> words{program(), "serve"};
    if (tls) words.emplace_back("--tls");
    if (http2) words.emplace_back("--http2");
    return words;
  }
  static std::string program() {
    const char* const name = std::getenv("WEIR_HARNESS");
    if (name == nullptr) throw std::runtime_error("WEIR_HARNESS must name the program");
    return name;
  }
  // What stands between `before` and `after`.
  static std::optional<std::string> field(std::string_view text, std::string_view before,
                                          std::string_view after) {
    const auto start = text.find(before);
    if (start == text.npos) return std::nullopt;
    const auto value = text.substr(start + before.size());
    return std::string(value.substr(0, value.find(after)));
  }
  static std::string unescaped(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool line_feed = text.compare(i, 2, "\\n") == 0;
      out += line_feed ? '\n' : text[i];
      if (line_feed) ++i;
    }
    return out;
  }

  Child child_;
  std::string url_;
  std::string ca_;
  std::optional<Client> probe_;
};

}  // namespace weir::test
