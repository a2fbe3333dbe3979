#include "harness/cmd/read_report.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include "harness/cmd/json_writer.hpp"

namespace weir::harness::cmd {
namespace {

// The words of --http.
std::optional<std::string_view> name_of(std::optional<HttpVersion> version) {
  if (!version) return std::nullopt;
  switch (*version) {
    case HttpVersion::automatic: return std::nullopt;
    case HttpVersion::http1: return "1";
    case HttpVersion::http2:
    case HttpVersion::http2_prior_knowledge: return "2";
    case HttpVersion::http3:
    case HttpVersion::http3_only: return "3";
  }
  return std::nullopt;
}

struct Sums {
  std::uint64_t bytes = 0;
  std::size_t peak_queued = 0;  // the highest
  std::uint64_t pauses = 0;
  std::uint64_t resumes = 0;
  std::chrono::nanoseconds paused_for{0};
  std::string sha256{};  // empty unless all have the same
};

Sums sums_of(const std::vector<StreamResult>& streams) {
  Sums sums;
  sums.sha256 = streams.front().report.sha256;
  for (const StreamResult& stream : streams) {
    const BodyStats& body = stream.report.body;
    sums.bytes += stream.report.bytes;
    sums.peak_queued = std::max(sums.peak_queued, body.peak_queued);
    sums.pauses += body.pauses;
    sums.resumes += body.resumes;
    sums.paused_for += body.paused_for;
    if (stream.report.sha256 != sums.sha256) sums.sha256.clear();
  }
  return sums;
}

std::optional<std::string_view> unless_empty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
}

std::optional<double> megabytes_per_second(std::uint64_t bytes, double seconds) {
  if (seconds <= 0) return std::nullopt;
  return static_cast<double>(bytes) / 1e6 / seconds;
}

// `stream` says how it went and where it came from, `sums` and `seconds` what was moved.
void write_outcome(JsonWriter& json, const StreamResult& stream, bool ok) {
  json.field("ok", ok);
  json.field("error", stream.error);
  json.field("detail", stream.detail);
  json.field("status", stream.status);
  json.field("http", name_of(stream.version));
  json.field("url", stream.url);
}

void write_volume(JsonWriter& json, const Sums& sums, double seconds) {
  json.field("bytes", sums.bytes);
  json.field("sha256", unless_empty(sums.sha256));
  json.field("seconds", seconds);
  json.field("mb_s", megabytes_per_second(sums.bytes, seconds));
}

void write_queue(JsonWriter& json, const Sums& sums) {
  json.field("peak_queued", sums.peak_queued);
  json.field("pauses", sums.pauses);
  json.field("resumes", sums.resumes);
  json.field("paused_ms", std::chrono::duration<double, std::milli>(sums.paused_for).count());
}

void write_stream(JsonWriter& json, const StreamResult& stream) {
  const Sums sums = sums_of({stream});
  json.object();
  write_outcome(json, stream, !stream.error);
  write_volume(json, sums, stream.seconds);
  write_queue(json, sums);
  json.close();
}

void write_active(JsonWriter& json, const GroupResult& active) {
  json.key("active");
  json.object();
  json.field("mb_s", megabytes_per_second(sums_of(active.streams).bytes, active.seconds));
  json.field("seconds", active.seconds);
  json.field("ok", all_ok(active, {}));
  json.close();
}

std::optional<std::uint64_t> unless_zero(std::uint64_t value) {
  return value == 0 ? std::nullopt : std::optional(value);
}

// The one to tell about: the first that failed, else the first.
const StreamResult& spokesman(const GroupResult& streams, const GroupResult& active) {
  for (const GroupResult* group : {&streams, &active}) {
    for (const StreamResult& stream : group->streams) {
      if (stream.error) return stream;
    }
  }
  return streams.streams.front();
}

}  // namespace

bool all_ok(const GroupResult& streams, const GroupResult& active) {
  const auto ok = [](const StreamResult& stream) { return !stream.error; };
  return std::all_of(streams.streams.begin(), streams.streams.end(), ok) &&
         std::all_of(active.streams.begin(), active.streams.end(), ok);
}

std::string read_report(const ReadOptions& options, const GroupResult& streams,
                        const GroupResult& active, const RunFigures& figures) {
  const Sums sums = sums_of(streams.streams);
  JsonWriter json;
  json.object();
  write_outcome(json, spokesman(streams, active), all_ok(streams, active));
  write_volume(json, sums, streams.seconds);
  json.field("cpu_s", figures.cpu_seconds);
  write_queue(json, sums);
  json.field("rss_start", unless_zero(figures.rss_start));
  json.field("rss_peak", unless_zero(figures.rss_peak));
  json.field("connections", figures.client.connections_opened);
  json.field("libcurl", figures.client.libcurl);
  if (options.streams > 1) {
    json.key("streams");
    json.array();
    for (const StreamResult& stream : streams.streams) write_stream(json, stream);
    json.close();
  }
  if (options.active > 0) write_active(json, active);
  json.close();
  return json.take();
}

}  // namespace weir::harness::cmd
