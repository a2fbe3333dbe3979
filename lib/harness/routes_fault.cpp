#include <array>
#include <string>

#include "harness/router.hpp"

namespace weir::harness {
namespace {

// /close?before=headers|blank_line&how=fin|rst&reused=1  No (whole) response head.
ResponsePlan close(const RouteCall& call) {
  const bool headers = call.query.choice("before", {"headers", "blank_line"}) == "headers";
  const bool fin = call.query.choice("how", {"fin", "rst"}) == "fin";
  const bool only_reused = call.query.flag("reused");
  if (only_reused && !call.reused) return text_response(200, "first request\n");
  ResponsePlan plan;
  plan.instead = headers ? Instead::close : Instead::close_head;
  plan.cut = fin ? Cut::fin : Cut::rst;
  return plan;
}

// /raw?text=  These bytes as they are, then FIN.
ResponsePlan raw(const RouteCall& call) {
  ResponsePlan plan = text_response(200, call.query.text("text").value_or(""));
  plan.instead = Instead::raw;
  return plan;
}

// /hang  No response, ever.
ResponsePlan hang(const RouteCall&) {
  ResponsePlan plan;
  plan.instead = Instead::hang;
  return plan;
}

constexpr std::array kRoutes = {Route{"close", false, &close}, Route{"raw", false, &raw},
                                Route{"hang", false, &hang}};

}  // namespace

std::span<const Route> fault_routes() { return kRoutes; }

}  // namespace weir::harness
