#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "weir/chunk.hpp"

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace weir::detail {

/// What a body's bytes must be, as Subresource Integrity writes it.
///
/// Of the kinds sha256, sha384 and sha512 (in any case) the strongest one named counts; one of its
/// digests must match. A digest in base64 may use the alphabet of URLs too; one that is malformed
/// matches nothing.
/// Spec: W3C Subresource Integrity, sections 3.3.2 to 3.3.4.
struct IntegrityMetadata {
  enum class Kind { none, sha256, sha384, sha512 };

  static IntegrityMetadata parse(std::string_view text);

  Kind kind = Kind::none;              ///< none: nothing is checked
  std::vector<std::string> digests{};  ///< In base64, of that kind.
};

/// Takes a body's bytes as they come, and tells at its end whether they match.
/// Memory: constant, beside the metadata. Thread-safety: one thread at a time.
class Integrity {
 public:
  /// `metadata` must name a kind. Throws std::bad_alloc, Error unsupported (a libcrypto without
  /// it).
  explicit Integrity(IntegrityMetadata metadata);

  void update(Bytes bytes);
  /// Once, after all bytes.
  bool matches();
  /// The name of the kind, with the digest found, once matches() was called.
  std::string found() const;

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const noexcept;
  };

  const IntegrityMetadata metadata_;
  const std::unique_ptr<evp_md_ctx_st, Free> context_;
  std::string digest_;  // in base64
};

}  // namespace weir::detail
