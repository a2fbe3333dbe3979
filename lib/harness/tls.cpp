#include "harness/tls.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace weir::harness {
namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<&EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<&X509_free>>;
using Context = std::unique_ptr<SSL_CTX, Deleter<&SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Deleter<&SSL_free>>;
using Bio = std::unique_ptr<BIO, Deleter<&BIO_free>>;
using BioMethod = std::unique_ptr<BIO_METHOD, Deleter<&BIO_meth_free>>;

constexpr long kValidSeconds = 10L * 365 * 24 * 3600;

void require(bool good, const char* what) {
  if (good) return;
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  throw std::runtime_error(std::string(what) + ": " + text.data());
}

void add_extension(X509* to, X509* issuer, int id, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Deleter<&X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, id, value));
  require(extension != nullptr && X509_add_ext(to, extension.get(), -1) == 1,
          "certificate extension");
}

Key make_key() {
  Key key(EVP_EC_gen("P-256"));
  require(key != nullptr, "key generation");
  return key;
}

// A certificate for `key` without extensions or signature; `issuer` null: its own.
Certificate make_certificate(EVP_PKEY* key, const char* name, long serial, X509* issuer) {
  Certificate made(X509_new());
  require(made != nullptr, "certificate");
  X509_set_version(made.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -24L * 3600);  // clocks that are a little late
  X509_gmtime_adj(X509_getm_notAfter(made.get()), kValidSeconds);
  X509_NAME* subject = X509_get_subject_name(made.get());
  const auto* text = reinterpret_cast<const unsigned char*>(name);
  require(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1, "name");
  X509_set_issuer_name(made.get(), issuer == nullptr ? subject : X509_get_subject_name(issuer));
  require(X509_set_pubkey(made.get(), key) == 1, "public key");
  return made;
}

void sign(X509* certificate, EVP_PKEY* key) {
  require(X509_sign(certificate, key, EVP_sha256()) > 0, "signature");
}

Certificate make_ca(EVP_PKEY* key) {
  Certificate ca = make_certificate(key, "weir harness CA", 1, nullptr);
  add_extension(ca.get(), ca.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(ca.get(), ca.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(ca.get(), ca.get(), NID_subject_key_identifier, "hash");
  sign(ca.get(), key);
  return ca;
}

Certificate make_leaf(EVP_PKEY* key, X509* ca, EVP_PKEY* ca_key) {
  Certificate leaf = make_certificate(key, "localhost", 2, ca);
  add_extension(leaf.get(), ca, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(leaf.get(), ca, NID_key_usage, "critical,digitalSignature");
  add_extension(leaf.get(), ca, NID_ext_key_usage, "serverAuth");
  add_extension(leaf.get(), ca, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1");
  add_extension(leaf.get(), ca, NID_subject_key_identifier, "hash");
  add_extension(leaf.get(), ca, NID_authority_key_identifier, "keyid");
  sign(leaf.get(), ca_key);
  return leaf;
}

std::string pem_of(X509* certificate) {
  const Bio memory(BIO_new(BIO_s_mem()));
  require(memory != nullptr && PEM_write_bio_X509(memory.get(), certificate) == 1, "PEM");
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

constexpr std::string_view kProtocols = "\x02h2\x08http/1.1";  // in the order of preference
constexpr std::size_t kHttp2Only = 3;                          // bytes of it

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned offered_size, void* http2) noexcept {
  const std::string_view ours = kProtocols.substr(http2 == nullptr ? kHttp2Only : 0);
  unsigned char* chosen = nullptr;
  const int result =
      SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned>(ours.size()), offered, offered_size);
  if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// OpenSSL's own socket BIO uses write(), which raises SIGPIPE.
int bio_fd(BIO* bio) noexcept {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

int bio_result(BIO* bio, ssize_t size, int retry_flag) noexcept {
  BIO_clear_retry_flags(bio);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    BIO_set_flags(bio, retry_flag | BIO_FLAGS_SHOULD_RETRY);
  }
  return static_cast<int>(size);
}

int bio_write(BIO* bio, const char* data, int size) noexcept {
  const ssize_t done = send(bio_fd(bio), data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  return bio_result(bio, done, BIO_FLAGS_WRITE);
}

int bio_read(BIO* bio, char* out, int size) noexcept {
  return bio_result(bio, recv(bio_fd(bio), out, static_cast<std::size_t>(size), 0), BIO_FLAGS_READ);
}

long bio_control(BIO*, int command, long, void*) noexcept {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BioMethod make_bio_method() {
  BioMethod method(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir harness socket"));
  require(method != nullptr, "BIO");
  BIO_meth_set_write(method.get(), &bio_write);
  BIO_meth_set_read(method.get(), &bio_read);
  BIO_meth_set_ctrl(method.get(), &bio_control);
  return method;
}

constexpr std::size_t kRecord = 16 * 1024;  // bytes of plaintext in one TLS record at most

class TlsStream final : public Stream {
 public:
  explicit TlsStream(Session session) : session_(std::move(session)) {}

  IoResult read(std::span<std::byte> out) override {
    ERR_clear_error();
    const int size = static_cast<int>(std::min<std::size_t>(out.size(), INT_MAX));
    const int done = SSL_read(session_.get(), out.data(), size);
    return result(done);
  }

  IoResult write(std::span<const iovec> parts) override {
    std::array<char, kRecord> gathered;
    const void* data = gathered.data();
    std::size_t size = sealed_;
    // A record that was refused is already encrypted: OpenSSL looks at its size only.
    if (sealed_ == 0 && parts.front().iov_len >= kRecord) {
      data = parts.front().iov_base;
      size = kRecord;
    } else if (sealed_ == 0) {
      for (const iovec& part : parts) {
        const std::size_t more = std::min(part.iov_len, kRecord - size);
        std::memcpy(gathered.data() + size, part.iov_base, more);
        size += more;
      }
    }
    ERR_clear_error();
    const IoResult done = result(SSL_write(session_.get(), data, static_cast<int>(size)));
    sealed_ = done.status == IoResult::Status::blocked ? size : 0;
    return done;
  }

  Protocol protocol() const override {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(session_.get(), &name, &size);
    const std::string_view chosen(reinterpret_cast<const char*>(name), size);
    return chosen == "h2" ? Protocol::http2 : Protocol::http1;
  }

  bool finish() override {
    if (!SSL_is_init_finished(session_.get()) || broken_ || sealed_ > 0) return true;
    ERR_clear_error();
    const int done = SSL_shutdown(session_.get());
    return done >= 0 || SSL_get_error(session_.get(), done) != SSL_ERROR_WANT_WRITE;
  }

 private:
  IoResult result(int done) {
    if (done > 0) return {IoResult::Status::ok, static_cast<std::size_t>(done)};
    const int why = SSL_get_error(session_.get(), done);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
      return {IoResult::Status::blocked, 0};
    }
    broken_ = why != SSL_ERROR_ZERO_RETURN;
    return {IoResult::Status::closed, 0};
  }

  Session session_;
  std::size_t sealed_ = 0;  // plaintext bytes of the record that the kernel refused
  bool broken_ = false;
};

}  // namespace

struct TlsContext::State {
  BioMethod method = make_bio_method();
  Context context{SSL_CTX_new(TLS_server_method())};
};

TlsContext::TlsContext(bool http2) : state_(std::make_unique<State>()) {
  SSL_CTX* context = state_->context.get();
  require(context != nullptr, "TLS context");
  const Key ca_key = make_key();
  const Key key = make_key();
  const Certificate ca = make_ca(ca_key.get());
  const Certificate leaf = make_leaf(key.get(), ca.get(), ca_key.get());
  ca_pem_ = pem_of(ca.get());
  require(SSL_CTX_use_certificate(context, leaf.get()) == 1, "certificate");
  require(SSL_CTX_use_PrivateKey(context, key.get()) == 1, "private key");
  require(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1, "TLS version");
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_alpn_select_cb(context, &choose_protocol, http2 ? this : nullptr);
}

TlsContext::~TlsContext() = default;

std::unique_ptr<Stream> TlsContext::accept(int fd) {
  Session session(SSL_new(state_->context.get()));
  BIO* bio = session == nullptr ? nullptr : BIO_new(state_->method.get());
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  BIO_set_init(bio, 1);
  SSL_set_bio(session.get(), bio, bio);
  SSL_set_accept_state(session.get());
  return std::make_unique<TlsStream>(std::move(session));
}

}  // namespace weir::harness
