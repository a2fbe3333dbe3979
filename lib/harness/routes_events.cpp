#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "harness/router.hpp"

namespace weir::harness {
namespace {

constexpr std::uint64_t kMost = std::uint64_t{1} << 63;
constexpr std::uint64_t kMostMs = 1000ULL * 3600 * 24 * 365;
constexpr std::uint64_t kMostSize = std::uint64_t{64} << 20;  // bytes; an event is made whole

std::chrono::milliseconds ask_for_time(Query& query, std::string_view name) {
  return std::chrono::milliseconds(query.number(name, 0, kMostMs).value_or(0));
}

ResponsePlan events_response() {
  ResponsePlan plan;
  plan.fields.emplace_back("Content-Type", "text/event-stream");
  plan.fields.emplace_back("Cache-Control", "no-store");
  plan.body.source = BodySource::events;
  plan.body.length.reset();
  return plan;
}

/// The number of the event that a client asks for.
std::uint64_t first_event(const RouteCall& call) {
  for (const auto& [name, value] : call.request.fields) {
    if (name != "last-event-id") continue;
    if (const auto last = decimal(value)) return *last + 1;
  }
  return 0;
}

// /sse?events=&interval_ms=&size=&data=&stamp=1&heartbeat_ms=&ids=1&retry=&close_after=
//     &swallow_fin=1&burst=1&encode=
ResponsePlan sse(const RouteCall& call) {
  Query& query = call.query;
  ResponsePlan plan = events_response();
  EventsPlan& events = plan.body.events;
  const auto all = query.number("events", 0, kMost);
  const auto close_after = query.number("close_after", 0, kMost);
  events.interval = ask_for_time(query, "interval_ms");
  events.heartbeat = ask_for_time(query, "heartbeat_ms");
  events.size = query.number("size", 0, kMostSize).value_or(0);
  events.data = query.text("data");
  events.stamp = query.flag("stamp");
  events.burst = query.flag("burst");
  events.ids = query.flag("ids");
  Codings asked = ask_for_codings(query);
  if (!asked.codings.empty()) plan.fields.emplace_back("Content-Encoding", asked.announced);
  events.codings = std::move(asked.codings);
  if (const auto ms = query.number("retry", 0, kMostMs)) {
    events.retry = std::chrono::milliseconds(*ms);
  }
  if (query.flag("swallow_fin")) {
    events.then = EventsPlan::Then::silence;
  } else if (all == std::uint64_t{0}) {
    events.then = EventsPlan::Then::heartbeats;
  }
  if (events.ids) events.first = first_event(call);
  if (all) events.count = *all - std::min(*all, events.first);
  if (events.ids && all && *all > 0 && events.count == std::uint64_t{0}) {
    plan = ResponsePlan();
    plan.status = 204;
    return plan;
  }
  if (close_after) events.count = std::min(events.count.value_or(kMost), *close_after);
  return plan;
}

// /chat?tokens=&interval_ms=  The answer of a language model, token by token. POST only.
ResponsePlan chat(const RouteCall& call) {
  constexpr std::array kWords = {"A",       "slow", "reader", "slows",  "the",
                                 "server,", "not",  "your",   "memory."};
  const auto tokens = call.query.number("tokens", 0, 1'000'000).value_or(kWords.size());
  ResponsePlan plan = events_response();
  EventsPlan& events = plan.body.events;
  events.interval = ask_for_time(call.query, "interval_ms");
  if (call.request.method != "POST") {
    plan = refusal(405, "only POST");
    plan.fields.emplace_back("Allow", "POST");
    return plan;
  }
  for (std::uint64_t i = 0; i < tokens; ++i) {
    const auto word = static_cast<std::size_t>(i % kWords.size());
    std::string token = i == 0 ? kWords[word] : std::string(" ") + kWords[word];
    events.texts.push_back("{\"choices\":[{\"delta\":{\"content\":\"" + token + "\"}}]}");
  }
  events.texts.emplace_back("[DONE]");
  events.count = events.texts.size();
  return plan;
}

constexpr std::array kRoutes = {Route{"sse", false, &sse}, Route{"chat", false, &chat}};

}  // namespace

std::span<const Route> events_routes() { return kRoutes; }

}  // namespace weir::harness
