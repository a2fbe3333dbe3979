#include "harness/cmd/read_options.hpp"

#include <string_view>
#include <utility>

#include "harness/cmd/options.hpp"
#include "harness/cmd/request_options.hpp"

namespace weir::harness::cmd {
namespace {

constexpr std::size_t kMaxReaders = 10'000;  // a thread each

constexpr const char* kUsage =
    R"(usage: weir-harness read URL [options]
  Reads the URL with one Client and prints one JSON object.

pace
  --rate B/S            read at most so many bytes a second
  --read-size N         read at most so many bytes at a time
  --stall-after BYTES   stop reading once after so many bytes,
  --stall-for S         for so long
  --cancel-after BYTES  cancel after so many bytes (ok, if it comes to that)
readers
  --streams N           so many at the same time, each with a request of its own
  --active M            M more that neither stall nor slow down, started once the others stall
request
  --http 1|2|2pk|3      version of HTTP; 2pk: HTTP/2 with prior knowledge
  -H 'NAME: VALUE'      another request header; may be given again
  --cacert FILE         trust the authorities in this PEM file only
  --insecure            accept any certificate
  --no-decode           deliver content codings as they are
limits
  --high-water N        pause at so many bytes queued ...
  --low-water N         ... and go on below so many
  --timeout S           for a whole transfer (none)
  --idle-timeout S      between two pieces of a body (300)
  --consumer-timeout S  for how long a body may stay paused (no limit)
output
  --no-sha              no SHA-256
  --out FILE            write the body there; one stream only

Sizes are bytes, with K, M or G for binary multiples; seconds may have a fraction, 0 is no limit.

The object: ok, error (errc name, or "write_failed" for --out; null), detail, status, http, url,
bytes, sha256, seconds, mb_s (10^6 bytes/s), cpu_s, peak_queued, pauses, resumes, paused_ms,
rss_start, rss_peak (bytes, sampled every 5 ms), connections, libcurl. What is not known is null.
With several streams: sums, the highest peak_queued, the first error, the sha256 if all have the
same; and streams: [...] with each one's own. With --active: active: {mb_s, seconds, ok}.

Before it starts it sends HEAD / to the same origin and ignores the outcome, so that rss_start
holds the program, the TLS library and one connection, which the first stream then reuses.

exit code: 0 all transfers went well, 1 one failed, 2 wrong usage
)";

/// True if `name` is an option of this group, whose value is then taken.
bool take_pace(std::string_view name, Arguments& args, SlowReaderOptions& pace) {
  if (name == "--rate")
    pace.rate = args.bytes();
  else if (name == "--read-size")
    pace.read_size = args.bytes();
  else if (name == "--stall-after")
    pace.stall_after = args.bytes_or_none();
  else if (name == "--stall-for")
    pace.stall_for = args.seconds();
  else if (name == "--cancel-after")
    pace.cancel_after = args.bytes_or_none();
  else if (name == "--no-sha")
    pace.sha256 = false;
  else
    return false;
  return true;
}

bool take_limit(std::string_view name, Arguments& args, ReadOptions& options) {
  if (name == "--high-water")
    options.high_water = args.bytes();
  else if (name == "--low-water")
    options.low_water = args.bytes();
  else if (name == "--timeout")
    options.total_timeout = args.seconds();
  else if (name == "--idle-timeout")
    options.idle_timeout = args.seconds();
  else if (name == "--consumer-timeout")
    options.consumer_timeout = args.seconds();
  else
    return false;
  return true;
}

bool take_other(std::string_view name, Arguments& args, ReadOptions& options) {
  if (name == "--streams")
    options.streams = args.count(1, kMaxReaders);
  else if (name == "--active")
    options.active = args.count(0, kMaxReaders);
  else if (name == "--http")
    options.version = version_of(args.text());
  else if (name == "-H")
    add_header(options.headers, args.text());
  else if (name == "--cacert")
    options.ca_file = args.text();
  else if (name == "--insecure")
    options.verify = false;
  else if (name == "--out")
    options.out = args.text();
  else if (name == "--help" || name == "-h")
    options.help = true;
  else if (name == "--no-decode")
    options.decode = false;
  else
    return false;
  return true;
}

void check(const ReadOptions& options, bool stall_for_given) {
  if (options.url.empty()) throw UsageError("which URL?");
  if (options.pace.stall_after.has_value() != stall_for_given) {
    throw UsageError("--stall-after and --stall-for go together");
  }
  if (!options.out.empty() && options.streams + options.active > 1) {
    throw UsageError("--out is for one stream only");
  }
}

}  // namespace

const char* read_usage() noexcept { return kUsage; }

ReadOptions read_options(std::span<char* const> arguments) {
  ReadOptions options;
  Arguments args(arguments);
  bool stall_for_given = false;
  while (const auto next = args.next()) {
    const std::string_view name = *next;
    if (!args.is_option()) {
      if (!options.url.empty()) throw UsageError("more than one URL: '" + std::string(name) + "'");
      options.url = name;
    } else if (!take_pace(name, args, options.pace) && !take_limit(name, args, options) &&
               !take_other(name, args, options)) {
      throw UsageError("unknown option '" + std::string(name) + "'");
    }
    stall_for_given = stall_for_given || (args.is_option() && name == "--stall-for");
  }
  if (!options.help) check(options, stall_for_given);
  return options;
}

ClientOptions ReadOptions::client() const {
  ClientOptions made;
  made.tls.ca_file = ca_file;
  made.tls.verify = verify;
  return made;
}

RequestInit ReadOptions::request(std::stop_token stop) const {
  RequestInit made;
  made.headers = headers;
  made.stop = std::move(stop);
  made.total_timeout = total_timeout;
  if (idle_timeout) made.idle_timeout = *idle_timeout;
  made.consumer_timeout = consumer_timeout;
  made.high_water = high_water;
  made.low_water = low_water;
  made.version = version;
  made.decode = decode;
  return made;
}

}  // namespace weir::harness::cmd
