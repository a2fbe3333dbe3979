#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "weir/chunk.hpp"

namespace weir::decode {

/// Undoes one content coding as its bytes come. Does no I/O and keeps no input: what it takes is
/// decoded, and all that can be given out is, so that whatever the sender flushed comes out of the
/// step that got its last byte.
///
/// Spec: RFC 9110 section 8.4.
/// Thread-safety: one thread at a time.
class Decoder {
 public:
  enum class Status {
    input,    ///< All of the input was taken, nothing is withheld.
    output,   ///< There may be more: step again, with what was not taken. The room is full, or (a
              ///< chain) so much was done that the caller is asked first, whatever it produced.
    corrupt,  ///< Nothing follows what was produced; `problem()` says why. No more steps.
  };
  struct Step {
    std::size_t consumed = 0;  ///< Bytes of the input.
    std::size_t produced = 0;  ///< Bytes written, all of them good.
    Status status = Status::input;
  };

  virtual ~Decoder() = default;

  /// Takes from `in`, which may be empty, and writes to `out`, which must not be.
  /// Throws std::bad_alloc, after which there are no more steps.
  virtual Step step(Bytes in, std::span<std::byte> out) = 0;
  /// The data may end here; true before its first byte.
  virtual bool whole() const noexcept = 0;
  /// What is corrupt, or that the data was cut short.
  virtual std::string problem() const = 0;
};

// One function for each coding. All throw std::bad_alloc, and allocate with the first byte.

/// RFC 1952. A second member follows where its two magic bytes do; anything else after the end is
/// ignored, as browsers do. Memory: 48 KiB.
std::unique_ptr<Decoder> make_gzip();
/// RFC 1950, or RFC 1951 without the zlib header that many servers leave out. What follows the end
/// is ignored. Memory: 48 KiB.
std::unique_ptr<Decoder> make_deflate();
/// RFC 7932; no large windows. What follows the end is ignored. Memory: the window that the data
/// asks for, 16 MiB at most, half as much again while it grows, and 4 MiB of tables. It has no
/// checksum: corrupt data may go unnoticed; of what precedes it up to 4 KiB of input is lost.
std::unique_ptr<Decoder> make_brotli();
/// RFC 8878: any number of frames and skippable frames; what follows must be another, as a stray
/// byte cannot be told from a broken one. Memory: the window that the data asks for, 8 MiB at most
/// (RFC 9659), beyond which it is corrupt; and 512 KiB.
std::unique_ptr<Decoder> make_zstd();
/// Undoes `outer`, and `inner` in what that gives: at most 272 KiB of it in one step, of which
/// nothing need come out. Memory: 16 KiB beside theirs.
std::unique_ptr<Decoder> make_chain(std::unique_ptr<Decoder> outer, std::unique_ptr<Decoder> inner);

}  // namespace weir::decode
