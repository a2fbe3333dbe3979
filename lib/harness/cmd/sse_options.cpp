#include "harness/cmd/sse_options.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>
#include <utility>

#include "harness/cmd/options.hpp"
#include "harness/cmd/request_options.hpp"

namespace weir::harness::cmd {
namespace {

constexpr std::size_t kMostMs = 1000UL * 3600 * 24 * 365;

constexpr const char* kUsage =
    R"(usage: weir-harness sse URL [options]
  Reads the server-sent events of the URL with one EventSource and prints JSON objects, one a line,
  each as soon as it is known.

request
  --method M            its method (GET; POST with --data)
  --data S|@FILE        its body: the text S, or what is in FILE
  -H 'NAME: VALUE'      another request header; may be given again
  --last-event-id ID    the Last-Event-ID of the first request
  --http 1|2|2pk|3      version of HTTP; 2pk: HTTP/2 with prior knowledge
  --cacert FILE         trust the authorities in this PEM file only
  --insecure            accept any certificate
connection
  --reconnect always|never  whether to connect again (always)
  --retry-ms N          wait so long before that, unless the server says (3000, doubled up to 30000)
  --idle-timeout S      longest silence of a connection (120)
events
  --max-events N        end after so many
  --delay-ms N          wait so long after each event, as a slow consumer
  --overflow P          what to do meanwhile: block, drop_oldest, drop_newest or fail (block)
  --max-pending N       events that may wait, unless --overflow is block (1024)
  --read-timeout-ms N   wait for each event with a deadline; when it passes, say so and wait again
  --comments            print comments too

Seconds may have a fraction, 0 is no limit.

The lines, in the order of what happened:
  {"state":"connecting"}            first of all
  {"state":"open"}                  a connection is open
  {"event":{"type":...,"data":...,"id":...}}
  {"comment":...}                   with --comments; with block in its place among the events
  {"state":"connecting","error":...,"detail":...,"status":...}  a connection was lost, or not made
  {"timeout":N}                     no event within N milliseconds
  {"state":"closed"}                no event follows
  {"events":...,"dropped":...,"comments":...,"reconnects":...,"bytes":...,"pauses":...,"error":...,
   "detail":...,"status":...,"libcurl":...}  last of all, in one line
error is an errc name: null at a good end (status 204, --max-events, the end of the response
with --reconnect never), "aborted" after SIGINT or SIGTERM. What is not known is null.

exit code: 0 a good end, 1 an error, 2 wrong usage
)";

template <class T, std::size_t N>
T choice(std::string_view option, std::string_view text,
         const std::array<std::pair<std::string_view, T>, N>& choices) {
  std::string names;
  for (const auto& [name, value] : choices) {
    if (name == text) return value;
    names.append(names.empty() ? "" : ", ").append(name);
  }
  throw UsageError("option '" + std::string(option) + "' needs one of " + names + ", not '" +
                   std::string(text) + "'");
}

Reconnect reconnect_of(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, Reconnect>, 2> kChoices{
      {{"always", Reconnect::always}, {"never", Reconnect::never}}};
  return choice("--reconnect", text, kChoices);
}

Overflow overflow_of(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, Overflow>, 4> kChoices{
      {{"block", Overflow::block},
       {"drop_oldest", Overflow::drop_oldest},
       {"drop_newest", Overflow::drop_newest},
       {"fail", Overflow::fail}}};
  return choice("--overflow", text, kChoices);
}

std::string data_of(std::string_view value) {
  if (!value.starts_with('@')) return std::string(value);
  const std::string path(value.substr(1));
  std::ifstream file(path, std::ios::binary);
  std::string all;
  std::array<char, 16384> piece{};
  while (file.read(piece.data(), piece.size()) || file.gcount() > 0) {
    all.append(piece.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (!file.eof()) throw UsageError("option '--data': cannot read " + path);
  return all;
}

std::chrono::milliseconds milliseconds_of(Arguments& args, std::size_t least) {
  return std::chrono::milliseconds(args.count(least, kMostMs));
}

/// True if `name` is an option of this group, whose value is then taken.
bool take_request(std::string_view name, Arguments& args, SseOptions& options) {
  if (name == "--method")
    options.method = args.text();
  else if (name == "--data")
    options.data = data_of(args.text());
  else if (name == "-H")
    add_header(options.headers, args.text());
  else if (name == "--last-event-id")
    options.last_event_id = args.text();
  else if (name == "--http")
    options.version = version_of(args.text());
  else if (name == "--cacert")
    options.ca_file = args.text();
  else if (name == "--insecure")
    options.verify = false;
  else
    return false;
  return true;
}

bool take_events(std::string_view name, Arguments& args, SseOptions& options) {
  if (name == "--max-events")
    options.max_events = args.count(1, std::size_t{1} << 62);
  else if (name == "--delay-ms")
    options.delay = milliseconds_of(args, 0);
  else if (name == "--overflow")
    options.overflow = overflow_of(args.text());
  else if (name == "--max-pending")
    options.max_pending = args.count(1, std::size_t{1} << 32);
  else if (name == "--read-timeout-ms")
    options.read_timeout = milliseconds_of(args, 1);
  else if (name == "--comments")
    options.comments = true;
  else
    return false;
  return true;
}

bool take_other(std::string_view name, Arguments& args, SseOptions& options) {
  if (name == "--reconnect")
    options.reconnect = reconnect_of(args.text());
  else if (name == "--retry-ms")
    options.retry = milliseconds_of(args, 1);
  else if (name == "--idle-timeout")
    options.idle_timeout = args.seconds();
  else if (name == "--help" || name == "-h")
    options.help = true;
  else
    return false;
  return true;
}

}  // namespace

const char* sse_usage() noexcept { return kUsage; }

SseOptions sse_options(std::span<char* const> arguments) {
  SseOptions options;
  Arguments args(arguments);
  while (const auto next = args.next()) {
    const std::string_view name = *next;
    if (!args.is_option()) {
      if (!options.url.empty()) throw UsageError("more than one URL: '" + std::string(name) + "'");
      options.url = name;
    } else if (!take_request(name, args, options) && !take_events(name, args, options) &&
               !take_other(name, args, options)) {
      throw UsageError("unknown option '" + std::string(name) + "'");
    }
  }
  if (!options.help && options.url.empty()) throw UsageError("which URL?");
  return options;
}

ClientOptions SseOptions::client() const {
  ClientOptions made;
  made.tls.ca_file = ca_file;
  made.tls.verify = verify;
  return made;
}

EventSourceOptions SseOptions::source() const {
  EventSourceOptions made;
  made.init.method = method;
  made.init.headers = headers;
  if (data) made.init.body = *data;
  made.init.version = version;
  made.last_event_id = last_event_id;
  made.reconnect = reconnect;
  if (retry) made.retry = *retry;
  made.max_retry = std::max(made.max_retry, made.retry);
  if (idle_timeout) made.idle_timeout = *idle_timeout;
  made.overflow = overflow;
  if (max_pending) made.max_pending_events = *max_pending;
  return made;
}

}  // namespace weir::harness::cmd
