#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/http1_request.hpp"
#include "harness/plan.hpp"
#include "harness/query.hpp"
#include "harness/stats_board.hpp"

namespace weir::harness {

/// What a route decides by.
struct RouteCall {
  const Request& request;
  std::uint64_t number;  // N of "/name/N", 0 where the route has none
  Query& query;
  const StatsBoard& stats;
  bool reused;  // the connection served a request before
};

/// One path of the server. What is wrong with the query is for the router to say: `answer` only
/// asks for its parameters.
struct Route {
  std::string_view name;  // first segment of the path
  bool takes_number;      // "/name/N" rather than "/name"
  ResponsePlan (*answer)(const RouteCall& call);
};

// One function for each routes_<family>.cpp.
std::span<const Route> bytes_routes();
std::span<const Route> redirect_routes();
std::span<const Route> status_routes();
std::span<const Route> headers_routes();
std::span<const Route> echo_routes();
std::span<const Route> events_routes();
std::span<const Route> fault_routes();
std::span<const Route> stats_routes();

/// The plan for a request: a route's, 404, or 400 with the reason.
ResponsePlan plan_for(const Request& request, const StatsBoard& stats, bool reused);

/// A plan that refuses with a line of text.
ResponsePlan refusal(int status, std::string_view reason);

/// The codings that `encode=` lists, in the order applied: names of make_encoder's, at most three.
struct Codings {
  std::vector<std::string> codings;
  std::string announced;  // as Content-Encoding
};
Codings ask_for_codings(Query& query);

/// True if `text` can be the value of a response field.
bool is_field_value(std::string_view text);

}  // namespace weir::harness
