#include "harness/encoded_body.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "decode/codings.hpp"
#include "weir/harness/firehose.hpp"

using namespace weir;
using harness::EncodedBody;

namespace {

struct Content {
  std::uint64_t bytes = 0;
  bool right = true;
  bool whole = false;
  std::size_t fills = 0;
  std::size_t most = 0;  // bytes at hand
};

Content decoded(const harness::BodyPlan& plan, std::string_view codings) {
  EncodedBody body(plan);
  std::string problem;
  const auto decoder = decode::make_decoder(codings, problem);
  std::vector<std::byte> out(64 * 1024);
  Content all;
  for (body.fill(); !body.ended(); body.fill()) {
    ++all.fills;
    all.most = std::max(all.most, body.bytes.size());
    Bytes in = std::as_bytes(std::span(body.bytes));
    for (auto status = decode::Decoder::Status::output;
         status == decode::Decoder::Status::output;) {
      const auto step = decoder->step(in, out);
      in = in.subspan(step.consumed);
      status = step.status;
      const Bytes bytes = Bytes(out).first(step.produced);
      if (plan.encoded.zeros) {
        for (const std::byte byte : bytes) all.right = all.right && byte == std::byte{0};
      } else if (harness::pattern::check(plan.seed, all.bytes, bytes)) {
        all.right = false;
      }
      all.bytes += step.produced;
    }
    body.bytes.clear();
  }
  all.whole = decoder->whole();
  return all;
}

harness::BodyPlan plan_of(harness::EncodedPlan encoded) {
  harness::BodyPlan plan;
  plan.seed = 7;
  plan.encoded = std::move(encoded);
  return plan;
}

}  // namespace

TEST_SUITE("harness") {
  TEST_CASE("EncodedBody: holds the pattern, in the codings asked for") {
    for (const std::string name : {"gzip", "deflate", "raw_deflate", "br", "zstd"}) {
      for (const std::uint64_t size : {0U, 1U, 100'000U, 1'000'000U}) {
        CAPTURE(name);
        const std::string coding = name == "raw_deflate" ? "deflate" : name;
        const Content one = decoded(plan_of({size, {name}, 0, false}), coding);
        CHECK(one.bytes == size);
        CHECK(one.right);
        CHECK(one.whole);
        const Content two = decoded(plan_of({size, {name, "gzip"}, 0, false}), coding + ", gzip");
        CHECK(two.bytes == size);
        CHECK(two.right);
      }
    }
  }

  TEST_CASE("EncodedBody: zeros become little, and little is at hand at once") {
    const Content zeros = decoded(plan_of({50'000'000, {"gzip"}, 0, true}), "gzip");
    CHECK(zeros.bytes == 50'000'000);
    CHECK(zeros.right);
    const Content noise = decoded(plan_of({5'000'000, {"gzip"}, 0, false}), "gzip");
    CHECK(noise.most < 1'000'000);
  }

  TEST_CASE("EncodedBody: every flush is a fill of its own at least") {
    const Content flushed = decoded(plan_of({10'000, {"br"}, 100, false}), "br");
    CHECK(flushed.bytes == 10'000);
    CHECK(flushed.right);
    CHECK(flushed.fills >= 100);
  }
}
