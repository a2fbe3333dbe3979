#include "api/integrity.hpp"

#include <doctest/doctest.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "support/sweep.hpp"

using namespace weir::test;
using weir::detail::Integrity;
using weir::detail::IntegrityMetadata;
using Kind = IntegrityMetadata::Kind;

namespace {

constexpr const char* kSha256 = "sha256-DSLNzBDm0Enb4a9RI9UIc/38Gk9YMG5Yy2JBvpRyAU0=";
constexpr const char* kSha384 =
    "sha384-8HnKELjTcFDM5sr3fZJtVi40MxdIKr88Qbo5ZMJYvkrj5LE1MK8Y6GdB4Vg/IJ9g";
constexpr const char* kSha512 =
    "sha512-rr9C4ERVBDNxjJoUeh1jlMYBqyWhfkVoxU0KXGtFh4zVgeN8xguC4xst6n2l/O3KwmpR5spZu3BdEhkvwVXXKw"
    "==";

/// Whether `text` is what `integrity` says; so is all of which nothing is checked.
bool matches(const std::string& integrity, std::string_view text) {
  auto metadata = IntegrityMetadata::parse(integrity);
  if (metadata.kind == Kind::none) return true;
  Integrity check(std::move(metadata));
  check.update(std::as_bytes(std::span(text)));
  return check.matches();
}

}  // namespace

TEST_SUITE_BEGIN("api");

TEST_CASE("Integrity: each kind matches its bytes, and no others") {
  for (const std::string one : {kSha256, kSha384, kSha512}) {
    CAPTURE(one);
    CHECK(matches(one, "some bytes"));
    CHECK(!matches(one, "some byteS"));
    CHECK(!matches(one, ""));
  }
  CHECK(matches("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", ""));
}

TEST_CASE("Integrity: of several, those of the strongest kind count, and one is enough") {
  const std::string right256 = kSha256;
  const std::string right384 = kSha384;
  const std::string right512 = kSha512;
  CHECK(matches("sha256-wrong " + right256, "some bytes"));
  CHECK(matches("sha256-wrong " + right512 + " sha384-wrong", "some bytes"));
  CHECK(!matches(right256 + " sha384-wrong", "some bytes"));
  CHECK(!matches("sha512-wrong " + right384 + " " + right256, "some bytes"));
  CHECK(matches(" \t\n\f\r" + right256 + "\n", "some bytes"));
}

TEST_CASE("Integrity: other kinds and options are ignored") {
  for (const std::string nothing : {"", " ", "md5-abc", "sha1-abc", "sha-256-abc", "?", "-", "x"}) {
    CAPTURE(nothing);
    CHECK(IntegrityMetadata::parse(nothing).kind == Kind::none);
  }
  CHECK(matches("md5-abc " + std::string(kSha256) + "?ct=text/plain?x", "some bytes"));
  CHECK(!matches("md5-abc " + std::string(kSha256), "others"));
}

TEST_CASE("Integrity: what is malformed matches nothing") {
  const std::string right = kSha256;
  for (const std::string& wrong : {std::string("sha256"), std::string("sha256-"),
                                   std::string("sha256-?abc"), right.substr(0, right.size() - 1),
                                   right + "=", right + "-x", "sha256- " + right.substr(7)}) {
    CAPTURE(wrong);
    CHECK(IntegrityMetadata::parse(wrong).kind == Kind::sha256);
    CHECK(!matches(wrong, "some bytes"));
  }
}

TEST_CASE("Integrity: kinds may be in any case, and digests in the alphabet of URLs") {
  CHECK(matches("SHA256-X+zrZv/IbzjZUnhsbWlsecLbwjndTpG0ZynXOif7V+k=", "0"));
  CHECK(matches("sha256-X-zrZv_IbzjZUnhsbWlsecLbwjndTpG0ZynXOif7V-k=", "0"));
  CHECK(!matches("sha256-x+zrZv/IbzjZUnhsbWlsecLbwjndTpG0ZynXOif7V+k=", "0"));
}

TEST_CASE("Integrity: the bytes may come in any pieces, and the digest found is told") {
  const std::string_view text = "some bytes";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    Integrity check(IntegrityMetadata::parse("sha256-abc"));
    for (const auto piece : cut(text, size)) check.update(std::as_bytes(std::span(piece)));
    CHECK(!check.matches());
    CHECK(check.found() == kSha256);
  }
}

TEST_SUITE_END();
