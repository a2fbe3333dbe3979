#include <array>

#include "harness/router.hpp"

namespace weir::harness {
namespace {

// /stats?bodies=1  The counters, this request and its connection included.
ResponsePlan stats(const RouteCall& call) {
  return text_response(200, call.stats.json(call.query.flag("bodies")), "application/json");
}

constexpr std::array kRoutes = {Route{"stats", false, &stats}};

}  // namespace

std::span<const Route> stats_routes() { return kRoutes; }

}  // namespace weir::harness
