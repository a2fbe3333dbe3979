#include <array>
#include <string>

#include "harness/router.hpp"

namespace weir::harness {
namespace {

// /redirect/N?to=&body=&status=  The N-th hop from the end; the query travels along.
ResponsePlan redirect(const RouteCall& call) {
  Query& query = call.query;
  ResponsePlan plan;
  plan.status = static_cast<int>(query.number("status", 300, 399).value_or(302));
  const std::string to = query.text("to").value_or("/bytes/0");
  if (call.number == 0) call.query.fail("a redirect needs at least one hop");
  if (!is_field_value(to)) call.query.fail("'to' cannot be a field value");
  std::string location = to;
  if (call.number > 1) {
    location = "/redirect/" + std::to_string(call.number - 1);
    if (!call.request.query.empty()) location += "?" + call.request.query;
  }
  plan.fields.emplace_back("Location", std::move(location));
  plan.body.source = BodySource::pattern;
  plan.body.length = query.number("body", 0, std::uint64_t{1} << 63).value_or(0);
  return plan;
}

constexpr std::array kRoutes = {Route{"redirect", true, &redirect}};

}  // namespace

std::span<const Route> redirect_routes() { return kRoutes; }

}  // namespace weir::harness
