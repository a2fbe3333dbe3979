#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "harness/router.hpp"

namespace weir::harness {
namespace {

constexpr std::uint64_t kMost = std::uint64_t{1} << 63;
constexpr std::uint64_t kMostMs = 1000ULL * 3600 * 24 * 365;

void ask_for_pace(Query& query, BodyPlan& body) {
  body.rate = query.number("rate", 1, kMost).value_or(0);
  body.write_size = query.number("write", 1, kMost).value_or(0);
  body.stall_after = query.number("stall_after", 0, kMost);
  if (const auto ms = query.number("stall_ms", 0, kMostMs))
    body.stall = std::chrono::milliseconds(*ms);
}

void ask_for_cut(Query& query, BodyPlan& body) {
  const auto cut = query.number("cut_after", 0, kMost);
  const auto reset = query.number("rst_after", 0, kMost);
  if (!cut && !reset) return;
  // With both, what comes first is all that can happen.
  const bool fin = cut && (!reset || *cut <= *reset);
  body.cut = fin ? Cut::fin : Cut::rst;
  body.cut_after = fin ? *cut : *reset;
}

// What only HTTP/2 can do. With `reused`, what comes before the response is for a connection that
// served a request before.
void ask_for_http2(const RouteCall& call, ResponsePlan& plan) {
  Query& query = call.query;
  const auto code = query.number("reset", 0, 0xFFFFFFFF);
  const auto reset_after = query.number("reset_after", 0, kMost);
  const auto goaway = query.text("goaway");
  plan.goaway_after = query.number("goaway_after", 0, kMost);
  const bool spared = query.flag("reused") && !call.reused;
  if (!call.request.http2 && (code || reset_after || goaway || plan.goaway_after)) {
    return query.fail("'reset' and 'goaway' need HTTP/2");
  }
  if (goaway && *goaway != "refuse") query.fail("'goaway' must be refuse");
  if (reset_after && !code) query.fail("'reset_after' needs 'reset'");
  if (code) plan.body.reset_code = static_cast<std::uint32_t>(*code);
  if (reset_after) {
    if (plan.body.cut != Cut::none) query.fail("'reset_after' excludes other ends");
    plan.body.cut = Cut::rst;
    plan.body.cut_after = *reset_after;
  } else if (code && !spared) {
    plan.instead = Instead::reset;
  }
  if (goaway && !spared) plan.instead = Instead::refuse;
}

// Lengths, rates, stalls and cuts are of the encoded bytes, but N.
void ask_for_coding(const RouteCall& call, ResponsePlan& plan) {
  Query& query = call.query;
  Codings asked = ask_for_codings(query);
  const std::uint64_t flush = query.number("flush", 1, kMost).value_or(0);
  const bool zeros = query.flag("zeros");
  auto announced = query.text("content_encoding");
  if (announced && !is_field_value(*announced)) {
    query.fail("'content_encoding' cannot be a field value");
  }
  if (asked.codings.empty()) {
    if (flush > 0 || zeros) query.fail("'flush' and 'zeros' need 'encode'");
  } else {
    if (!announced) announced = asked.announced;
    plan.body.source = BodySource::encoded;
    plan.body.length.reset();
    plan.body.encoded = {call.number, std::move(asked.codings), flush, zeros};
  }
  if (announced) plan.fields.emplace_back("Content-Encoding", *announced);
}

// /bytes/N?seed=&chunked=&no_length=&rate=&write=&stall_after=&stall_ms=&cut_after=&rst_after=
//         &encode=&flush=&zeros=&content_encoding=&status=&content_type=
//         &reset=&reset_after=&goaway=&goaway_after=&reused=
ResponsePlan bytes(const RouteCall& call) {
  Query& query = call.query;
  ResponsePlan plan;
  plan.status = static_cast<int>(query.number("status", 200, 599).value_or(200));
  const std::string type = query.text("content_type").value_or("application/octet-stream");
  if (!is_field_value(type)) call.query.fail("'content_type' cannot be a field value");
  plan.fields.emplace_back("Content-Type", type);
  plan.body.source = BodySource::pattern;
  plan.body.seed = query.number("seed", 0, kMost).value_or(0);
  plan.body.length = call.number;
  plan.body.chunked = query.flag("chunked");
  plan.body.no_length = query.flag("no_length");
  ask_for_coding(call, plan);
  ask_for_pace(query, plan.body);
  ask_for_cut(query, plan.body);
  ask_for_http2(call, plan);
  if (plan.body.chunked && plan.body.no_length) {
    call.query.fail("'chunked' and 'no_length' exclude each other");
  }
  if (plan.body.stall && !plan.body.stall_after) {
    call.query.fail("'stall_ms' needs 'stall_after'");
  }
  return plan;
}

constexpr std::array kRoutes = {Route{"bytes", true, &bytes}};

}  // namespace

std::span<const Route> bytes_routes() { return kRoutes; }

}  // namespace weir::harness
