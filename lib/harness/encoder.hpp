#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir::harness {

/// One content coding, done as the bytes come.
/// Thread-safety: one thread at a time.
class Encoder {
 public:
  enum class Push {
    data,
    flush,   // and give out all that was taken
    finish,  // and the end
  };
  virtual ~Encoder() = default;
  /// Takes all of `data` and appends what comes of it to `out`. Throws std::runtime_error.
  virtual void add(std::string_view data, Push push, std::string& out) = 0;
};

/// "gzip", "deflate", "raw_deflate" (which leaves zlib's header out), "br" or "zstd"; null for
/// others. Throws std::bad_alloc.
std::unique_ptr<Encoder> make_encoder(std::string_view name);

/// Several codings, in the order applied; none: what is added comes out as it is.
/// Thread-safety: one thread at a time.
class EncoderChain {
 public:
  /// `names`: make_encoder's.
  explicit EncoderChain(const std::vector<std::string>& names);
  /// What comes of `piece`. Throws std::runtime_error.
  std::string add(std::string piece, Encoder::Push push);

 private:
  std::vector<std::unique_ptr<Encoder>> encoders_;
};

}  // namespace weir::harness
