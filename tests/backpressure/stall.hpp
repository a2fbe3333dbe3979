#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "backpressure/checked.hpp"
#include "backpressure/wire.hpp"
#include "support/memory.hpp"
#include "support/size.hpp"
#include "weir/harness/firehose.hpp"
#include "weir/weir.hpp"

namespace weir::test {

/// libcurl's receive buffer: filled at once, then offered in writes, so that it may hold so much
/// when a write is refused. 40 KiB (net/curl_quirks), and 256 KiB where all transfers share it.
inline std::uint64_t receive_buffer(const ClientStats& stats) {
  const auto dot = stats.libcurl.find('.');
  const int major = std::stoi(std::string(stats.libcurl));
  const int minor = std::stoi(std::string(stats.libcurl.substr(dot + 1)));
  return major > 8 || (major == 8 && minor >= 7) ? 256 * kKiB : 40 * kKiB;
}

/// A body whose reader stops in the middle, and what may be held for it then.
struct Stall {
  std::string url{};
  std::uint64_t size = 0;  ///< of the body, bytes; longer than all buffers together
  std::uint64_t seed = 0;
  std::uint64_t read_before = 0;    ///< bytes, by the reader before it stops; 0: no read at all
  std::uint64_t mark = kHighWater;  ///< at which it must stop: of a body read, or unread
  std::uint64_t high_water = kHighWater;        ///< once it is read
  double wire_per_body = 1;                     ///< what framing and TLS make of a body's byte
  std::optional<std::string> sha256{};          ///< of the body, to compare with
  std::function<bool()> wait_until_stuck{};     ///< the server; false: it did not get stuck
  std::function<std::uint64_t()> got_rid_of{};  ///< by the server, body bytes
  std::uint64_t uncertainty = 0;                ///< of got_rid_of(), bytes
  std::chrono::milliseconds stand_still{100};   ///< how long nothing may move then
  /// Measures what the kernel holds for a bare socket that read so many bytes and stopped.
  std::function<std::optional<std::uint64_t>(std::uint64_t)> bare_share{};
};

/// What was seen while the reader stood still, for the record.
struct StallFigures {
  std::uint64_t got_rid_of = 0;  ///< by the server
  std::uint64_t kernel = 0;      ///< body bytes in the kernel for this very connection, both sides
  std::uint64_t in_process = 0;  ///< got_rid_of - read - kernel: queue and libcurl
  std::uint64_t queue_memory = 0;
  std::uint64_t rss_growth = 0;  ///< peak of the whole run
};

/// Reads, stalls, checks every bound, reads on, and checks every byte. `client` has no other body
/// and has made a request before, so that what grows is due to this body.
inline void stall_inside(Client& client, std::uint16_t port, const Stall& stall,
                         const std::string& name) {
  trim_heap();
  reset_peak_rss();
  const std::size_t rss_before = rss();

  Response response = client.fetch(stall.url);
  REQUIRE(response.status == 200);
  Tally tally(stall.seed);
  std::optional<harness::Sha256> digest;
  if (stall.sha256) digest.emplace();
  Reader reader = response.body.reader();
  const auto read = [&](std::uint64_t until) {
    while (tally.bytes < until) {
      const auto chunk = reader.read();
      if (!tally.take(chunk)) break;
      if (digest) digest->update(chunk->bytes());
    }
  };
  read(stall.read_before);

  do {  // because of the reader, not because this process had no turn on the processor
    REQUIRE(stall.wait_until_stuck());
  } while (!reader.stats().paused);
  REQUIRE(stall.wait_until_stuck());
  const std::uint64_t got_rid_of = stall.got_rid_of();
  let_pass(stall.stand_still);
  CHECK(stall.got_rid_of() == got_rid_of);
  const BodyStats body = reader.stats();
  const ClientStats stats = client.stats();
  StallFigures figures;
  figures.got_rid_of = got_rid_of;
  const auto wire = static_cast<double>(kernel_queues(port).total());
  figures.kernel = static_cast<std::uint64_t>(wire / stall.wire_per_body);
  figures.queue_memory = stats.queue_memory;
  const std::uint64_t unread = got_rid_of - body.drained;
  figures.in_process = unread > figures.kernel ? unread - figures.kernel : 0;

  CHECK(body.drained == tally.bytes);
  CHECK(body.peak_queued >= stall.mark);
  CHECK(body.peak_queued < stall.mark + kOneWrite);  // which is within one slab
  const std::uint64_t own = stall.mark + kOneWrite + receive_buffer(stats);
  CHECK(unread <= own + figures.kernel + stall.uncertainty);
  CHECK(stats.queue_memory <= body.queued + 2 * kSlab);  // however small the writes were
  CHECK(stats.paused == 1);

  // For the record only: the kernel sizes its buffers as it goes, so that two connections of one
  // run differ by a factor of up to five.
  std::string bare = "not measured";
  if (stall.bare_share) {
    if (const auto share = stall.bare_share(body.received)) bare = mib(*share);
  }

  read(stall.size);
  CHECK(!reader.read());
  CHECK(tally.is_whole(stall.size));
  if (digest) CHECK(digest->hex() == *stall.sha256);
  const BodyStats end = reader.stats();
  CHECK(end.pauses >= 1);
  CHECK(end.pauses == end.resumes);
  CHECK(end.peak_queued < stall.high_water + kLastWrites);
  CHECK(end.received == stall.size);
  CHECK(client.stats().queue_memory == 0);
  CHECK(balanced(client.stats()));

  const std::size_t peak = peak_rss();
  figures.rss_growth = peak > rss_before ? peak - rss_before : 0;
  if (!under_sanitizer()) CHECK(figures.rss_growth < 8 * kMiB);
  MESSAGE(name, ": body ", mib(stall.size), ", read ", mib(body.drained), ", peak_queued ",
          body.peak_queued, ", server got rid of ", mib(figures.got_rid_of), ", unread ",
          mib(unread), " = in process ", figures.in_process, " + kernel ", mib(figures.kernel),
          ", queued ", body.queued, " (bare socket ", bare, "), queue memory ",
          figures.queue_memory, ", RSS grew ", mib(figures.rss_growth), ", pauses ", end.pauses,
          ", resumes ", end.resumes, ", paused for ", end.paused_for.count() / 1'000'000, " ms");
}

}  // namespace weir::test
