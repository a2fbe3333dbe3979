#include "harness/pattern.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <stdexcept>

namespace weir::harness {
namespace {

constexpr std::uint64_t kStep =
    0x9E3779B97F4A7C15U;                             // odd, so index -> index * kStep is one to one
constexpr std::uint64_t kMix = 0xD6E8FEB86659FD93U;  // odd, for the same reason
constexpr std::size_t kWord = sizeof(std::uint64_t);

// The 64-bit words of one seed, in order. Each step is a bijection of the word's index, which is
// what makes every aligned word of a body different; one multiplication a word makes it fast.
class Words {
 public:
  Words(std::uint64_t seed, std::uint64_t index) noexcept
      : state_((seed ^ (seed >> 31)) * kMix + index * kStep) {}

  std::uint64_t next() noexcept {
    state_ += kStep;
    std::uint64_t word = (state_ ^ (state_ >> 32)) * kMix;
    word ^= word >> 29;
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    return word;
  }

 private:
  std::uint64_t state_;
};

std::array<std::byte, kWord> as_bytes(std::uint64_t word) noexcept {
  std::array<std::byte, kWord> out;
  std::memcpy(out.data(), &word, kWord);
  return out;
}

// Bytes up to the next word boundary, or up to the end of what there is.
std::size_t head_size(std::uint64_t offset, std::size_t size) noexcept {
  const std::size_t into = static_cast<std::size_t>(offset % kWord);
  return into == 0 ? 0 : std::min(kWord - into, size);
}

}  // namespace

namespace pattern {

void fill(std::uint64_t seed, std::uint64_t offset, std::span<std::byte> out) noexcept {
  if (out.empty()) return;
  Words words(seed, offset / kWord);
  std::byte* to = out.data();
  std::size_t left = out.size();
  if (const std::size_t head = head_size(offset, left); head > 0) {
    std::memcpy(to, as_bytes(words.next()).data() + offset % kWord, head);
    to += head;
    left -= head;
  }
  for (; left >= kWord; to += kWord, left -= kWord) {
    const std::uint64_t word = words.next();
    std::memcpy(to, &word, kWord);
  }
  if (left > 0) std::memcpy(to, as_bytes(words.next()).data(), left);
}

std::optional<std::uint64_t> check(std::uint64_t seed, std::uint64_t offset,
                                   std::span<const std::byte> bytes) noexcept {
  std::array<std::byte, 4096> expected;
  for (std::size_t done = 0; done < bytes.size();) {
    const std::size_t size = std::min(expected.size(), bytes.size() - done);
    fill(seed, offset + done, std::span(expected).first(size));
    if (std::memcmp(expected.data(), bytes.data() + done, size) != 0) {
      const auto wrong = std::mismatch(expected.data(), expected.data() + size, &bytes[done]).first;
      return offset + done + static_cast<std::size_t>(wrong - expected.data());
    }
    done += size;
  }
  return std::nullopt;
}

std::string sha256(std::uint64_t seed, std::uint64_t offset, std::uint64_t length) {
  Sha256 digest;
  std::array<std::byte, 16 * 1024> piece;
  while (length > 0) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), length));
    fill(seed, offset, std::span(piece).first(size));
    digest.update(std::span(piece).first(size));
    offset += size;
    length -= size;
  }
  return digest.hex();
}

}  // namespace pattern

PatternWindow::PatternWindow() : bytes_(new std::byte[kSize]) {}

std::span<const std::byte> PatternWindow::at(std::uint64_t seed, std::uint64_t offset,
                                             std::size_t most) {
  const bool inside = seed == seed_ && offset >= offset_ && offset - offset_ < size_;
  const std::size_t rest = inside ? size_ - static_cast<std::size_t>(offset - offset_) : 0;
  if (rest == 0 || (rest < most && rest < kSize / 2)) {
    seed_ = seed;
    offset_ = offset;
    size_ = std::clamp<std::size_t>(most, 4096, kSize);  // small writes come in series
    pattern::fill(seed, offset, std::span(bytes_.get(), size_));
  }
  const auto start = static_cast<std::size_t>(offset - offset_);
  return {bytes_.get() + start, std::min(size_ - start, most)};
}

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                  &EVP_MD_CTX_free};
  State() { start(); }
  void start() {
    if (context == nullptr || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) {
      throw std::runtime_error("SHA-256 is not available");
    }
  }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) != 1) {
    throw std::runtime_error("SHA-256 failed");
  }
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest;
  if (EVP_DigestFinal_ex(state_->context.get(), digest.data(), nullptr) != 1) {
    throw std::runtime_error("SHA-256 failed");
  }
  state_->start();
  std::string out;
  for (const unsigned char byte : digest) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

}  // namespace weir::harness
