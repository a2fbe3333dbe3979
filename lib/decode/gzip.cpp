#include <zlib.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <limits>
#include <new>

#include "decode/decoder.hpp"

namespace weir::decode {
namespace {

enum class Format { gzip, deflate };

constexpr int kWindow = 15;  // bits: 32 KiB, all that the formats know
constexpr int kGzip = 16;    // added to it: a gzip header and trailer
constexpr std::size_t kMost = std::numeric_limits<uInt>::max();
constexpr std::array<unsigned char, 2> kMagic{0x1F, 0x8B};  // RFC 1952 section 2.3.1

// The low half of zlib's first byte is its method, always 8. No encoder begins raw deflate like
// this: it would be a stored block with padding that is not zero.
constexpr bool begins_zlib(std::byte first) { return (first & std::byte{0x0F}) == std::byte{8}; }

class Zlib final : public Decoder {
 public:
  explicit Zlib(Format format) noexcept : format_(format) {}
  ~Zlib() override {
    if (started_) ::inflateEnd(&zlib_);
  }

  Step step(Bytes in, std::span<std::byte> out) override;
  bool whole() const noexcept override {
    return at_ == At::begin || at_ == At::rest || (at_ == At::between && matched_ == 0);
  }
  std::string problem() const override { return problem_; }

 private:
  enum class At {
    begin,    // no byte yet
    inside,   // a member
    between,  // members: `matched_` bytes of the next one's magic were seen
    rest,     // to be ignored
  };

  void start(std::byte first);
  void look_for_member(Bytes in, std::span<std::byte> out, Step& all);
  void inflate(Bytes in, std::span<std::byte> out, Step& all);

  const Format format_;
  z_stream zlib_{};
  bool started_ = false;
  At at_ = At::begin;
  std::size_t matched_ = 0;
  const char* problem_ = "cut short";
};

void Zlib::start(std::byte first) {
  const int raw_or_zlib = begins_zlib(first) ? kWindow : -kWindow;
  const int bits = format_ == Format::gzip ? kWindow + kGzip : raw_or_zlib;
  if (::inflateInit2(&zlib_, bits) != Z_OK) throw std::bad_alloc();
  started_ = true;
  at_ = At::inside;
}

Decoder::Step Zlib::step(Bytes in, std::span<std::byte> out) {
  assert(!out.empty());
  Step all;
  if (at_ == At::begin && !in.empty()) start(in.front());
  if (at_ == At::inside) inflate(in, out, all);
  while (all.status == Status::input && all.consumed < in.size()) {
    const Bytes left = in.subspan(all.consumed);
    if (at_ == At::rest) {
      all.consumed = in.size();
    } else if (at_ == At::between) {
      look_for_member(left, out.subspan(all.produced), all);
    } else {
      inflate(left, out.subspan(all.produced), all);
    }
  }
  return all;
}

void Zlib::look_for_member(Bytes in, std::span<std::byte> out, Step& all) {
  if (std::to_integer<unsigned char>(in.front()) != kMagic[matched_]) {
    at_ = At::rest;
    return;
  }
  ++all.consumed;
  if (++matched_ < kMagic.size()) return;
  matched_ = 0;
  at_ = At::inside;
  ::inflateReset(&zlib_);
  Step magic;  // whose bytes are not those of `in`
  inflate(std::as_bytes(std::span(kMagic)), out, magic);
  if (magic.status == Status::corrupt) all.status = magic.status;
}

void Zlib::inflate(Bytes in, std::span<std::byte> out, Step& all) {
  const auto offered = static_cast<uInt>(std::min(in.size(), kMost));
  const auto room = static_cast<uInt>(std::min(out.size(), kMost));
  // zlib writes through neither pointer to the input.
  zlib_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(in.data()));
  zlib_.avail_in = offered;
  zlib_.next_out = reinterpret_cast<Bytef*>(out.data());
  zlib_.avail_out = room;
  const int result = ::inflate(&zlib_, Z_SYNC_FLUSH);
  all.consumed += offered - zlib_.avail_in;
  all.produced += room - zlib_.avail_out;
  switch (result) {
    case Z_OK:
    case Z_BUF_ERROR:
      if (zlib_.avail_out == 0) all.status = Status::output;
      return;
    case Z_STREAM_END: at_ = format_ == Format::gzip ? At::between : At::rest; return;
    case Z_MEM_ERROR: throw std::bad_alloc();
    case Z_NEED_DICT: problem_ = "it needs a dictionary"; break;
    default: problem_ = zlib_.msg != nullptr ? zlib_.msg : "corrupt data"; break;
  }
  all.status = Status::corrupt;
}

}  // namespace

std::unique_ptr<Decoder> make_gzip() { return std::make_unique<Zlib>(Format::gzip); }
std::unique_ptr<Decoder> make_deflate() { return std::make_unique<Zlib>(Format::deflate); }

}  // namespace weir::decode
