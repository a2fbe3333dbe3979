#include "harness/encoder.hpp"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <utility>

namespace weir::harness {
namespace {

constexpr int kZlib = 15;
constexpr int kGzip = 31;
constexpr int kRaw = -15;

class ZlibEncoder final : public Encoder {
 public:
  explicit ZlibEncoder(int bits) {
    const int result =
        ::deflateInit2(&zlib_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY);
    if (result != Z_OK) throw std::bad_alloc();
  }
  ~ZlibEncoder() override { ::deflateEnd(&zlib_); }

  void add(std::string_view data, Push push, std::string& out) override {
    std::array<Bytef, 16 * 1024> buffer;
    const int flush = push == Push::data    ? Z_NO_FLUSH
                      : push == Push::flush ? Z_SYNC_FLUSH
                                            : Z_FINISH;
    zlib_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
    zlib_.avail_in = static_cast<uInt>(data.size());
    do {
      zlib_.next_out = buffer.data();
      zlib_.avail_out = static_cast<uInt>(buffer.size());
      if (::deflate(&zlib_, flush) == Z_STREAM_ERROR) throw std::runtime_error("deflate failed");
      out.append(reinterpret_cast<const char*>(buffer.data()), buffer.size() - zlib_.avail_out);
    } while (zlib_.avail_out == 0);
  }

 private:
  z_stream zlib_{};
};

class BrotliEncoder final : public Encoder {
 public:
  BrotliEncoder() {
    if (!state_) throw std::bad_alloc();
    ::BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_QUALITY, 4);
  }

  void add(std::string_view data, Push push, std::string& out) override {
    const auto operation = push == Push::data    ? BROTLI_OPERATION_PROCESS
                           : push == Push::flush ? BROTLI_OPERATION_FLUSH
                                                 : BROTLI_OPERATION_FINISH;
    const auto* next = reinterpret_cast<const std::uint8_t*>(data.data());
    std::size_t left = data.size();
    do {
      std::size_t no_room = 0;
      if (!::BrotliEncoderCompressStream(state_.get(), operation, &left, &next, &no_room, nullptr,
                                         nullptr)) {
        throw std::runtime_error("brotli failed");
      }
      std::size_t size = 0;
      const std::uint8_t* const bytes = ::BrotliEncoderTakeOutput(state_.get(), &size);
      out.append(reinterpret_cast<const char*>(bytes), size);
    } while (left > 0 || ::BrotliEncoderHasMoreOutput(state_.get()));
  }

 private:
  const std::unique_ptr<BrotliEncoderState, decltype(&::BrotliEncoderDestroyInstance)> state_{
      ::BrotliEncoderCreateInstance(nullptr, nullptr, nullptr), &::BrotliEncoderDestroyInstance};
};

class ZstdEncoder final : public Encoder {
 public:
  ZstdEncoder() {
    if (!context_) throw std::bad_alloc();
    ::ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
  }

  void add(std::string_view data, Push push, std::string& out) override {
    const auto directive = push == Push::data    ? ZSTD_e_continue
                           : push == Push::flush ? ZSTD_e_flush
                                                 : ZSTD_e_end;
    std::array<char, 16 * 1024> buffer;
    ZSTD_inBuffer in{data.data(), data.size(), 0};
    for (bool done = false; !done;) {
      ZSTD_outBuffer to{buffer.data(), buffer.size(), 0};
      const std::size_t left = ::ZSTD_compressStream2(context_.get(), &to, &in, directive);
      if (::ZSTD_isError(left) != 0) throw std::runtime_error(::ZSTD_getErrorName(left));
      out.append(buffer.data(), to.pos);
      done = push == Push::data ? in.pos == in.size : left == 0;
    }
  }

 private:
  const std::unique_ptr<ZSTD_CCtx, decltype(&::ZSTD_freeCCtx)> context_{::ZSTD_createCCtx(),
                                                                        &::ZSTD_freeCCtx};
};

}  // namespace

std::unique_ptr<Encoder> make_encoder(std::string_view name) {
  if (name == "gzip") return std::make_unique<ZlibEncoder>(kGzip);
  if (name == "deflate") return std::make_unique<ZlibEncoder>(kZlib);
  if (name == "raw_deflate") return std::make_unique<ZlibEncoder>(kRaw);
  if (name == "br") return std::make_unique<BrotliEncoder>();
  if (name == "zstd") return std::make_unique<ZstdEncoder>();
  return nullptr;
}

EncoderChain::EncoderChain(const std::vector<std::string>& names) {
  for (const std::string& name : names) encoders_.push_back(make_encoder(name));
}

std::string EncoderChain::add(std::string piece, Encoder::Push push) {
  for (const auto& encoder : encoders_) {
    std::string out;
    encoder->add(piece, push, out);
    piece = std::move(out);
  }
  return piece;
}

}  // namespace weir::harness
