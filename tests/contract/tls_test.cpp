#include <doctest/doctest.h>

#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "contract/transports.hpp"
#include "interop/folder.hpp"
#include "net/memory_file.hpp"
#include "support/certificates.hpp"
#include "support/tls_peer.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

namespace {

/// "secure", or why there is no response.
struct Result {
  std::string text;
  std::optional<Error> error;

  errc code() const { return error ? static_cast<errc>(error->code().value()) : errc{}; }
  std::string detail() const { return error ? error->detail() : ""; }
};

Result fetch_from(const std::string& url, const TlsOptions& tls) {
  Result result;
  result.error = error_of([&] {
    Client client({.tls = tls});
    result.text = client.fetch(url).text();
  });
  return result;
}

Result fetch_from(const TlsPeer& peer, const TlsOptions& tls) {
  return fetch_from(peer.url(), tls);
}

bool says(const Result& result, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return contains(result.detail(), word); });
}

TlsOptions trusting(const Certificate& authority) {
  TlsOptions tls;
  tls.ca_pem = authority.pem();
  return tls;
}

std::string write(const TemporaryFolder& folder, const char* name, const std::string& text) {
  const auto path = folder.path() / name;
  std::ofstream(path) << text;
  return path;
}

std::optional<errc> refusal(const TlsOptions& tls) {
  return code_of([&] { const Client client({.tls = tls}); });
}

}  // namespace

TEST_SUITE_BEGIN("contract");

TEST_CASE("TLS: a certificate that must not be accepted is tls_failed, and the detail says why") {
  const Chain chain;
  const TlsOptions tls = trusting(chain.root);
  const auto fetch = [&](const TlsPeer& peer) {
    const Result result = fetch_from(peer, tls);
    CHECK(peer.requests().empty());
    CHECK(result.code() == errc::tls_failed);
    CHECK_FALSE(result.error->retryable());
    CHECK(result.error->url() == peer.url());
    CAPTURE(result.detail());
    // It is the certificate, and nothing else, that is wrong.
    CHECK(fetch_from(peer, {.verify = false}).text == "secure");
    return result;
  };
  SUBCASE("expired") {
    const Certificate expired({.valid_days = -1}, &chain.between);
    const TlsPeer peer(expired, {.between = &chain.between});
    CHECK(says(fetch(peer), {"expired"}));
  }
  SUBCASE("another host's") {
    const Certificate other({.name = "other", .hosts = "DNS:other.example"}, &chain.between);
    const TlsPeer peer(other, {.between = &chain.between});
    CHECK(says(fetch(peer), {"match"}));
  }
  SUBCASE("no host's") {
    const Certificate bare({.name = "bare", .hosts = nullptr}, &chain.between);
    const TlsPeer peer(bare, {.between = &chain.between});
    CHECK(says(fetch(peer), {"match"}));
  }
  SUBCASE("self-signed") {
    const Certificate alone({.name = "alone"});
    const TlsPeer peer(alone);
    CHECK(says(fetch(peer), {"self-signed", "self signed"}));
  }
  SUBCASE("an incomplete chain") {
    const TlsPeer peer(chain.server);
    CHECK(says(fetch(peer), {"unable to get local issuer", "incomplete"}));
  }
  SUBCASE("an unknown authority's") {
    const Chain strange;
    const TlsPeer peer(strange.server, {.between = &strange.between});
    CHECK(says(fetch(peer), {"unable to get", "unknown", "self-signed certificate in"}));
  }
  SUBCASE("that of a server's, used as an authority") {
    const Certificate forged({.name = "forged"}, &chain.server);
    const TlsPeer peer(forged, {.between = &chain.server});
    CHECK(says(fetch(peer), {"invalid CA", "no authority", "unable to get", "unknown"}));
  }
}

TEST_CASE("TLS: ca_pem and ca_file trust what they hold, and nothing of the system's") {
  const Chain chain;
  const Chain strange;
  const TemporaryFolder folder;
  const TlsPeer peer(chain.server, {.between = &chain.between});
  const std::string good = write(folder, "good.pem", chain.root.pem());
  const std::string both = write(folder, "both.pem", strange.root.pem() + chain.root.pem());
  const std::string other = write(folder, "other.pem", strange.root.pem());
  CHECK(fetch_from(peer, {.ca_file = good}).text == "secure");
  CHECK(fetch_from(peer, {.ca_file = both}).text == "secure");
  CHECK(fetch_from(peer, {.ca_pem = chain.root.pem()}).text == "secure");
  CHECK(fetch_from(peer, {.ca_pem = strange.root.pem() + chain.root.pem()}).text == "secure");
  CHECK(fetch_from(peer.localhost_url(), {.ca_pem = chain.root.pem()}).text == "secure");
  CHECK(fetch_from(peer, {.ca_file = other}).code() == errc::tls_failed);
  CHECK(fetch_from(peer, {}).code() == errc::tls_failed);
  // The text wins.
  CHECK(fetch_from(peer, {.ca_file = other, .ca_pem = chain.root.pem()}).text == "secure");
  CHECK(fetch_from(peer, {.ca_file = good, .ca_pem = strange.root.pem()}).code() ==
        errc::tls_failed);
}

TEST_CASE("TLS: authorities in a file in memory are as good, for libcurls that take no text") {
  const Chain chain;
  const TlsPeer peer(chain.server, {.between = &chain.between});
  const net::MemoryFile file(chain.root.pem());
  Client client({.tls = {.ca_file = file.path()}});
  for (int i = 0; i < 2; ++i) CHECK(client.fetch(peer.url()).text() == "secure");
}

TEST_CASE("TLS: a file of authorities that is no such file is tls_failed where TLS is spoken") {
  const Chain chain;
  const TemporaryFolder folder;
  const TlsPeer peer(chain.server, {.between = &chain.between});
  for (const auto& path : {std::string("/nonexistent/ca.pem"), folder.path().string()}) {
    const Result result = fetch_from(peer, {.ca_file = path});
    CHECK(result.code() == errc::tls_failed);
    CHECK(says(result, {"ca_file"}));
  }
  CHECK(fetch_from(peer, {.ca_file = write(folder, "empty", "")}).code() == errc::tls_failed);
  Http1 plain({.tls = {.ca_file = "/nonexistent/ca.pem"}});
  CHECK(plain.client().fetch(plain.url("/status/200")).ok());
  CHECK(refusal({.ca_pem = "not PEM"}) == errc::invalid_argument);
  CHECK(refusal({.ca_file = std::string("a\0b", 3)}) == errc::invalid_argument);
}

TEST_CASE("TLS: a server that wants a certificate gets the client's") {
  const Chain chain;
  const Certificate users({.name = "users", .authority = true});
  const Certificate user({.name = "user"}, &users);
  const TemporaryFolder folder;
  const std::string cert = write(folder, "cert.pem", user.pem());
  const std::string key = write(folder, "key.pem", user.key_pem());
  const std::string both = write(folder, "both.pem", user.pem() + user.key_pem());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    const TlsPeer peer(chain.server,
                       {.between = &chain.between, .client_ca = &users, .max_version = version});
    TlsOptions tls = trusting(chain.root);
    const Result without = fetch_from(peer, tls);
    CHECK(without.code() == errc::tls_failed);
    CHECK(says(without, {"alert", "required", "Handshake failed"}));
    tls.client_cert = cert;
    tls.client_key = key;
    CHECK(fetch_from(peer, tls).text == "secure");
    tls.client_cert = both;
    tls.client_key = "";
    CHECK(fetch_from(peer, tls).text == "secure");
    CHECK(peer.requests().size() == 2);

    const Certificate stranger({.name = "stranger"});
    tls.client_cert = write(folder, "stranger.pem", stranger.pem() + stranger.key_pem());
    CHECK(fetch_from(peer, tls).code() == errc::tls_failed);
    CHECK(peer.requests().size() == 2);
  }
}

TEST_CASE("TLS: a client certificate that cannot be used is tls_failed, and named") {
  const Chain chain;
  const Certificate user({.name = "user"});
  const Certificate other({.name = "other"});
  const TemporaryFolder folder;
  const TlsPeer peer(chain.server, {.between = &chain.between});
  const std::string cert = write(folder, "cert.pem", user.pem());
  const auto fails = [&](const std::string& certificate, const std::string& key) {
    TlsOptions tls = trusting(chain.root);
    tls.client_cert = certificate;
    tls.client_key = key;
    const Result result = fetch_from(peer, tls);
    CHECK(result.code() == errc::tls_failed);
    CHECK(says(result, {"client_cert"}));
  };
  fails("/nonexistent/cert.pem", "");
  fails(cert, "/nonexistent/key.pem");
  fails(cert, "");  // holds no key
  fails(cert, write(folder, "other.pem", other.key_pem()));
  fails(cert, write(folder, "encrypted.pem", user.key_pem("password")));  // nobody is asked for it
  CHECK(refusal({.client_key = "key.pem"}) == errc::invalid_argument);
}

TEST_CASE("TLS: servers that speak nothing new enough are refused") {
  const Chain chain;
  TlsOptions tls = trusting(chain.root);
  const TlsPeer old(chain.server, {.between = &chain.between, .max_version = TLS1_2_VERSION});
  const TlsPeer current(chain.server, {.between = &chain.between});
  CHECK(fetch_from(old, tls).text == "secure");
  tls.min_version = TlsVersion::tls1_3;
  CHECK(fetch_from(old, tls).code() == errc::tls_failed);
  CHECK(fetch_from(current, tls).text == "secure");
}

TEST_CASE("TLS: a pinned key is the server's, or it is tls_failed, whatever else is verified") {
  const Chain chain;
  const TlsPeer peer(chain.server, {.between = &chain.between});
  for (const bool verify : {true, false}) {
    CAPTURE(verify);
    TlsOptions tls = trusting(chain.root);
    tls.verify = verify;
    tls.pinned_key = chain.server.pin();
    CHECK(fetch_from(peer, tls).text == "secure");
    tls.pinned_key = chain.root.pin() + ";" + chain.server.pin();
    CHECK(fetch_from(peer, tls).text == "secure");
    tls.pinned_key = chain.between.pin();
    const Result result = fetch_from(peer, tls);
    CHECK(result.code() == errc::tls_failed);
    CHECK(says(result, {"pinned"}));
  }
  CHECK(peer.requests().size() == 4);
  for (const auto& pin : {std::string("key.pem"), std::string("sha256//"),
                          std::string("sha1//AAAA"), chain.root.pin() + ";", ";" + chain.root.pin(),
                          chain.root.pin() + " ", "sha256//" + std::string(44, '!')}) {
    CAPTURE(pin);
    CHECK(refusal({.pinned_key = pin}) == errc::invalid_argument);
  }
}

TEST_SUITE_END();
