#include "decode/codings.hpp"

#include <array>
#include <utility>

#include "base/ascii.hpp"

namespace weir::decode {
namespace {

constexpr std::size_t kMost = 2;  // codings

struct Coding {
  std::string_view name;
  std::unique_ptr<Decoder> (*make)();
};
constexpr std::array kCodings = {Coding{"gzip", &make_gzip}, Coding{"x-gzip", &make_gzip},
                                 Coding{"deflate", &make_deflate}, Coding{"br", &make_brotli},
                                 Coding{"zstd", &make_zstd}};

const Coding* find_coding(std::string_view name) noexcept {
  for (const Coding& coding : kCodings) {
    if (detail::equal_ignoring_case(coding.name, name)) return &coding;
  }
  return nullptr;
}

/// Takes the last coding off `list`; empty at its front. Spec: RFC 9110 section 5.6.1.
std::string_view take_last(std::string_view& list) noexcept {
  while (!list.empty()) {
    const auto comma = list.rfind(',');
    const auto start = comma == list.npos ? 0 : comma + 1;
    const auto name = detail::trim(list.substr(start));
    list = list.substr(0, comma == list.npos ? 0 : comma);
    if (!name.empty() && !detail::equal_ignoring_case(name, "identity")) return name;
  }
  return {};
}

}  // namespace

bool is_encoded(std::string_view content_encoding) noexcept {
  return !take_last(content_encoding).empty();
}

std::unique_ptr<Decoder> make_decoder(std::string_view content_encoding, std::string& problem) {
  std::unique_ptr<Decoder> all;
  std::size_t count = 0;
  for (auto list = content_encoding;;) {
    const std::string_view name = take_last(list);
    if (name.empty()) return all;
    if (++count > kMost) {
      problem = "more than " + std::to_string(kMost) + " codings";
      return nullptr;
    }
    const Coding* const coding = find_coding(name);
    if (coding == nullptr) {
      problem = "unknown coding " + std::string(name.substr(0, 40));
      return nullptr;
    }
    all = all ? make_chain(std::move(all), coding->make()) : coding->make();
  }
}

}  // namespace weir::decode
