#include "api/integrity.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "base/ascii.hpp"
#include "weir/error.hpp"

namespace weir::detail {
namespace {

using Kind = IntegrityMetadata::Kind;

constexpr std::string_view kSpaces = " \t\n\f\r";

std::string_view name_of(Kind kind) noexcept {
  switch (kind) {
    case Kind::sha256: return "sha256";
    case Kind::sha384: return "sha384";
    case Kind::sha512: return "sha512";
    case Kind::none: break;
  }
  return "";
}

Kind kind_named(std::string_view name) noexcept {
  for (const Kind kind : {Kind::sha256, Kind::sha384, Kind::sha512}) {
    if (equal_ignoring_case(name, name_of(kind))) return kind;
  }
  return Kind::none;
}

const EVP_MD* digest_of(Kind kind) noexcept {
  switch (kind) {
    case Kind::sha256: return EVP_sha256();
    case Kind::sha384: return EVP_sha384();
    case Kind::sha512: return EVP_sha512();
    case Kind::none: break;
  }
  return nullptr;
}

/// The alphabet of base64 in place of that of URLs.
std::string normalised(std::string_view base64) {
  std::string text(base64);
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  return text;
}

void check(int result) {
  if (result != 1) throw Error({.code = errc::unsupported, .detail = "integrity: libcrypto"});
}

}  // namespace

IntegrityMetadata IntegrityMetadata::parse(std::string_view text) {
  IntegrityMetadata all;
  while (!text.empty()) {
    const std::size_t begin = std::min(text.find_first_not_of(kSpaces), text.size());
    text.remove_prefix(begin);
    std::string_view word = text.substr(0, text.find_first_of(kSpaces));
    text.remove_prefix(word.size());
    word = word.substr(0, word.find('?'));
    const std::size_t dash = word.find('-');
    const Kind kind = kind_named(word.substr(0, dash));
    if (kind == Kind::none || kind < all.kind) continue;
    if (kind > all.kind) all = {.kind = kind};
    all.digests.push_back(dash == word.npos ? "" : normalised(word.substr(dash + 1)));
  }
  return all;
}

void Integrity::Free::operator()(evp_md_ctx_st* context) const noexcept {
  EVP_MD_CTX_free(context);
}

Integrity::Integrity(IntegrityMetadata metadata)
    : metadata_(std::move(metadata)), context_(EVP_MD_CTX_new()) {
  if (!context_) throw std::bad_alloc();
  check(EVP_DigestInit_ex(context_.get(), digest_of(metadata_.kind), nullptr));
}

void Integrity::update(Bytes bytes) {
  check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

bool Integrity::matches() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  check(EVP_DigestFinal_ex(context_.get(), digest.data(), &size));
  std::array<unsigned char, 4 * (EVP_MAX_MD_SIZE + 2) / 3 + 1> base64{};
  const int length = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(size));
  digest_.assign(base64.begin(), base64.begin() + length);
  const auto& wanted = metadata_.digests;
  return std::find(wanted.begin(), wanted.end(), digest_) != wanted.end();
}

std::string Integrity::found() const {
  return std::string(name_of(metadata_.kind)) + "-" + digest_;
}

}  // namespace weir::detail
