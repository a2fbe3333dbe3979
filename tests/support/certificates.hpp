#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace weir::test {

template <auto Free>
struct OpenSslDeleter {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};
using CertificateKey = std::unique_ptr<EVP_PKEY, OpenSslDeleter<&EVP_PKEY_free>>;
using X509Certificate = std::unique_ptr<X509, OpenSslDeleter<&X509_free>>;
using MemoryBio = std::unique_ptr<BIO, OpenSslDeleter<&BIO_free>>;

inline std::string base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

/// What a certificate says.
struct CertificateText {
  const char* name = "localhost";
  const char* hosts = "DNS:localhost,IP:127.0.0.1";  ///< subjectAltName; null: none
  int valid_days = 1;                                ///< negative: it has expired
  bool authority = false;
};

/// A certificate and its key, made at once.
class Certificate {
 public:
  /// Signed by `issuer`; null: by itself.
  explicit Certificate(const CertificateText& text, const Certificate* issuer = nullptr)
      : key_(EVP_EC_gen("P-256")), x509_(X509_new()) {
    constexpr long kDay = 24L * 3600;
    X509* const made = x509_.get();
    X509_set_version(made, X509_VERSION_3);
    static long serial = 0;
    ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made), -30 * kDay);
    X509_gmtime_adj(X509_getm_notAfter(made), text.valid_days * kDay);
    X509_NAME* const subject = X509_get_subject_name(made);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(text.name), -1, -1, 0);
    X509_set_issuer_name(made,
                         issuer == nullptr ? subject : X509_get_subject_name(issuer->x509_.get()));
    X509_set_pubkey(made, key_.get());
    X509* const by = issuer == nullptr ? made : issuer->x509_.get();
    add(by, NID_basic_constraints, text.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    add(by, NID_key_usage, text.authority ? "critical,keyCertSign" : "critical,digitalSignature");
    if (!text.authority && text.hosts != nullptr) add(by, NID_subject_alt_name, text.hosts);
    add(by, NID_subject_key_identifier, "hash");
    if (issuer != nullptr) add(by, NID_authority_key_identifier, "keyid");
    EVP_PKEY* const signer = issuer == nullptr ? key_.get() : issuer->key_.get();
    if (X509_sign(made, signer, EVP_sha256()) <= 0) throw std::runtime_error("X509_sign");
  }

  X509* x509() const noexcept { return x509_.get(); }
  EVP_PKEY* key() const noexcept { return key_.get(); }
  std::string pem() const {
    const MemoryBio memory(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(memory.get(), x509_.get());
    return text_of(memory.get());
  }
  /// Encrypted, if there is a password.
  std::string key_pem(const std::string& password = "") const {
    const MemoryBio memory(BIO_new(BIO_s_mem()));
    const auto* bytes = reinterpret_cast<const unsigned char*>(password.data());
    PEM_write_bio_PKCS8PrivateKey(
        memory.get(), key_.get(), password.empty() ? nullptr : EVP_aes_128_cbc(),
        reinterpret_cast<const char*>(bytes), static_cast<int>(password.size()), nullptr, nullptr);
    return text_of(memory.get());
  }
  /// As TlsOptions::pinned_key wants it.
  std::string pin() const {
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key_.get(), &der);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned length = 0;
    EVP_Digest(der, static_cast<std::size_t>(size), digest.data(), &length, EVP_sha256(), nullptr);
    OPENSSL_free(der);
    return "sha256//" + base64({reinterpret_cast<const char*>(digest.data()), length});
  }

 private:
  static std::string text_of(BIO* memory) {
    char* text = nullptr;
    const long size = BIO_get_mem_data(memory, &text);
    return {text, static_cast<std::size_t>(size)};
  }
  void add(X509* issuer, int id, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, x509_.get(), nullptr, nullptr, 0);
    const std::unique_ptr<X509_EXTENSION, OpenSslDeleter<&X509_EXTENSION_free>> extension(
        X509V3_EXT_conf_nid(nullptr, &context, id, value));
    if (extension == nullptr || X509_add_ext(x509_.get(), extension.get(), -1) != 1)
      throw std::runtime_error(std::string("certificate extension ") + value);
  }

  CertificateKey key_;
  X509Certificate x509_;
};

/// Like a small internet's: a root, an authority below it, and a server of that.
struct Chain {
  Certificate root{{.name = "weir test root", .authority = true}};
  Certificate between{{.name = "weir test authority", .authority = true}, &root};
  Certificate server{{}, &between};
};

}  // namespace weir::test
