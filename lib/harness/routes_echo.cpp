#include <array>

#include "harness/router.hpp"

namespace weir::harness {
namespace {

// /echo?rate=  The request's body, framed as it came.
ResponsePlan echo(const RouteCall& call) {
  ResponsePlan plan;
  for (const auto& [name, value] : call.request.fields) {
    if (name == "content-type") plan.fields.emplace_back("Content-Type", value);
  }
  plan.body.rate = call.query.number("rate", 1, std::uint64_t{1} << 63).value_or(0);
  plan.body.source = BodySource::echo;
  plan.body.chunked = call.request.framing == BodyFraming::chunked;
  plan.body.length = plan.body.chunked ? std::nullopt : std::optional(call.request.length);
  return plan;
}

constexpr std::array kRoutes = {Route{"echo", false, &echo}};

}  // namespace

std::span<const Route> echo_routes() { return kRoutes; }

}  // namespace weir::harness
