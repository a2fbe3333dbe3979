#include <doctest/doctest.h>
#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "contract/transports.hpp"
#include "support/coroutine.hpp"
#include "support/size.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

namespace {

std::string sha384_of(Bytes bytes) {
  std::array<unsigned char, 48> digest{};
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha384(), nullptr);
  std::array<unsigned char, 65> base64{};
  EVP_EncodeBlock(base64.data(), digest.data(), 48);
  return "sha384-" + std::string(base64.begin(), base64.end() - 1);
}

}  // namespace

TEST_SUITE("contract") {
  TEST_CASE_TEMPLATE("integrity: a body is checked as it was before it was encoded", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    const std::uint64_t size = sized<std::uint64_t>(300'000, 2'000'000, 8'000'000);
    std::vector<std::byte> pattern(size);
    harness::pattern::fill(5, 0, pattern);
    const std::string right = sha384_of(pattern);
    const std::string wrong = sha384_of(Bytes(pattern).first(1));
    const std::string path = "/bytes/" + std::to_string(size) + "?seed=5";
    for (const char* const more : {"", "&chunked=1", "&encode=gzip", "&encode=br,gzip"}) {
      CAPTURE(more);
      const auto get = [&](const std::string& integrity) {
        return transport.client().fetch(transport.url(path + more), {.integrity = integrity});
      };
      Response response = get(right);
      CHECK(read_all(response, 5) == size);
      CHECK(get(right).bytes() == pattern);
      CHECK(read_async(get(right).body.reader(), 5).get() == size);
      CHECK(get("md5-abc").bytes().size() == size);

      Response other = get(wrong);
      Reader reader = other.body.reader();
      const Seen seen = read_all(reader, 5);
      CHECK(seen.bytes == size);
      CHECK(seen.code() == errc::integrity_failed);
      CHECK(seen.error->status() == 200);
      CHECK(contains(seen.error->detail(), right));
      CHECK(code_of([&] { reader.read(); }) == errc::integrity_failed);
      CHECK(code_of([&] { get(wrong).text(); }) == errc::integrity_failed);
      CHECK(read_async(get(wrong).body.reader(), 5).get().code() == errc::integrity_failed);
    }
  }

  TEST_CASE_TEMPLATE("integrity: where redirects end counts, and no body is no bytes", T,
                     WEIR_NETWORK_TRANSPORTS) {
    T transport;
    std::vector<std::byte> pattern(1000);
    harness::pattern::fill(0, 0, pattern);
    const std::string right = sha384_of(pattern);
    const std::string none = sha384_of({});
    const auto get = [&](const std::string& path, const std::string& integrity,
                         const char* method = "GET") {
      return transport.client().fetch(transport.url(path),
                                      {.method = method, .integrity = integrity});
    };
    Response moved = get("/redirect/1?to=/bytes/1000", right);
    CHECK(moved.redirected);
    CHECK(moved.bytes() == pattern);
    CHECK(get("/bytes/1000", none, "HEAD").text().empty());
    CHECK(code_of([&] { get("/bytes/1000", right, "HEAD").text(); }) == errc::integrity_failed);
    CHECK(code_of([&] { get("/bytes/0?status=204", right).text(); }) == errc::integrity_failed);
  }

  TEST_CASE_TEMPLATE("integrity: a body cut short is told as that", T, WEIR_NETWORK_TRANSPORTS) {
    T transport;
    Response response = transport.client().fetch(
        transport.url("/bytes/300000?seed=5&cut_after=150000"), {.integrity = "sha256-abc"});
    const Seen seen = read_all(response, 5);
    CHECK(seen.bytes == 150'000);
    CHECK(seen.code() == errc::truncated);
  }
}
