#include "harness/router.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "harness/encoder.hpp"

namespace weir::harness {
namespace {

const Route* find_route(std::string_view name) {
  const std::array families = {bytes_routes(), redirect_routes(), status_routes(), headers_routes(),
                               echo_routes(),  events_routes(),   fault_routes(),  stats_routes()};
  for (const std::span<const Route> family : families) {
    for (const Route& route : family) {
      if (route.name == name) return &route;
    }
  }
  return nullptr;
}

}  // namespace

ResponsePlan plan_for(const Request& request, const StatsBoard& stats, bool reused) {
  const std::string_view path = std::string_view(request.path).substr(1);
  const std::size_t slash = path.find('/');
  const Route* route = find_route(path.substr(0, slash));
  if (route == nullptr || (!route->takes_number && slash != path.npos)) {
    return refusal(404, "no such route");
  }
  const auto number = decimal(slash == path.npos ? "" : path.substr(slash + 1));
  if (route->takes_number && !number) {
    return refusal(400, "the path must be /" + std::string(route->name) + "/N, N up to 2^63");
  }
  Query query(request.query);
  ResponsePlan plan = route->answer({request, number.value_or(0), query, stats, reused});
  if (const std::string problem = query.error(); !problem.empty()) return refusal(400, problem);
  return plan;
}

ResponsePlan refusal(int status, std::string_view reason) {
  return text_response(status, std::string(reason) + "\n");
}

Codings ask_for_codings(Query& query) {
  Codings asked;
  const std::string list = query.text("encode").value_or("");
  for (std::size_t at = 0; !list.empty() && at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    const std::string name = list.substr(at, end - at);
    if (!make_encoder(name)) query.fail("'encode' must be of gzip, deflate, raw_deflate, br, zstd");
    asked.announced.append(asked.codings.empty() ? "" : ", ");
    asked.announced.append(name == "raw_deflate" ? "deflate" : name);
    asked.codings.push_back(name);
    at = end + 1;
  }
  if (asked.codings.size() > 3) query.fail("'encode' takes at most 3 codings");
  return asked;
}

bool is_field_value(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 127;
  });
}

}  // namespace weir::harness
