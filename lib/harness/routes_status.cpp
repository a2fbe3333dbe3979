#include <array>
#include <string>

#include "harness/router.hpp"

namespace weir::harness {
namespace {

// /status/N  N as a line of text.
ResponsePlan status(const RouteCall& call) {
  if (call.number < 200 || call.number > 999) {
    call.query.fail("a final status is from 200 to 999");
  }
  return text_response(static_cast<int>(call.number), std::to_string(call.number) + "\n");
}

// /interim/N  N times 103 before the 200.
ResponsePlan interim(const RouteCall& call) {
  if (call.number > 10'000) call.query.fail("at most 10000 interim responses");
  ResponsePlan plan = text_response(200, "ok\n");
  plan.interim = call.number;
  return plan;
}

constexpr std::array kRoutes = {Route{"status", true, &status}, Route{"interim", true, &interim}};

}  // namespace

std::span<const Route> status_routes() { return kRoutes; }

}  // namespace weir::harness
