#include <array>
#include <string>

#include "harness/router.hpp"

namespace weir::harness {
namespace {

constexpr std::uint64_t kMostBytes = 16 * 1024 * 1024;  // of one response head

// /headers?count=&size=  `count` fields "X-Weir-<i>" with values of `size` bytes.
ResponsePlan headers(const RouteCall& call) {
  const std::uint64_t count = call.query.number("count", 0, kMostBytes).value_or(0);
  const std::uint64_t size = call.query.number("size", 0, kMostBytes).value_or(0);
  if (count * (size + 24) > kMostBytes) {
    call.query.fail("more than 16 MiB of headers");
    return {};
  }
  ResponsePlan plan = text_response(200, "ok\n");
  plan.fields.reserve(plan.fields.size() + count);
  const std::string value(size, 'x');
  for (std::uint64_t i = 0; i < count; ++i) {
    plan.fields.emplace_back("X-Weir-" + std::to_string(i), value);
  }
  return plan;
}

// /drip_headers?ms=  A field every `ms` milliseconds, for ever.
ResponsePlan drip_headers(const RouteCall& call) {
  ResponsePlan plan;
  plan.instead = Instead::drip;
  plan.drip = std::chrono::milliseconds(call.query.number("ms", 1, 3'600'000).value_or(100));
  return plan;
}

// /headers_echo  The request's head as it came.
ResponsePlan headers_echo(const RouteCall& call) {
  return text_response(200, call.request.head, "text/plain");
}

constexpr std::array kRoutes = {Route{"headers", false, &headers},
                                Route{"drip_headers", false, &drip_headers},
                                Route{"headers_echo", false, &headers_echo}};

}  // namespace

std::span<const Route> headers_routes() { return kRoutes; }

}  // namespace weir::harness
