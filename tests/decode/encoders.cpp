#include "decode/encoders.hpp"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <cstdint>
#include <stdexcept>

namespace weir::test {
namespace {

using Buffer = std::array<char, 16 * 1024>;

[[noreturn]] void fail() { throw std::runtime_error("the encoder failed"); }

}  // namespace

Encoder zlib_encoder(int bits) {
  const std::shared_ptr<z_stream> zlib(new z_stream{}, [](z_stream* stream) {
    ::deflateEnd(stream);
    delete stream;
  });
  if (::deflateInit2(zlib.get(), 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) fail();
  return [zlib](std::string_view text, Push push) {
    std::string out;
    Buffer buffer;
    zlib->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    zlib->avail_in = static_cast<uInt>(text.size());
    const int flush = push == Push::data    ? Z_NO_FLUSH
                      : push == Push::flush ? Z_SYNC_FLUSH
                                            : Z_FINISH;
    do {
      zlib->next_out = reinterpret_cast<Bytef*>(buffer.data());
      zlib->avail_out = static_cast<uInt>(buffer.size());
      ::deflate(zlib.get(), flush);
      out.append(buffer.data(), buffer.size() - zlib->avail_out);
    } while (zlib->avail_out == 0);
    return out;
  };
}

Encoder brotli_encoder(int window_bits, bool large_window) {
  const std::shared_ptr<BrotliEncoderState> state(
      ::BrotliEncoderCreateInstance(nullptr, nullptr, nullptr), &::BrotliEncoderDestroyInstance);
  ::BrotliEncoderSetParameter(state.get(), BROTLI_PARAM_QUALITY, 5);
  ::BrotliEncoderSetParameter(state.get(), BROTLI_PARAM_LARGE_WINDOW, large_window ? 1 : 0);
  ::BrotliEncoderSetParameter(state.get(), BROTLI_PARAM_LGWIN,
                              static_cast<std::uint32_t>(window_bits));
  return [state](std::string_view text, Push push) {
    std::string out;
    const auto* next = reinterpret_cast<const std::uint8_t*>(text.data());
    std::size_t left = text.size();
    const auto operation = push == Push::data    ? BROTLI_OPERATION_PROCESS
                           : push == Push::flush ? BROTLI_OPERATION_FLUSH
                                                 : BROTLI_OPERATION_FINISH;
    do {
      std::size_t none = 0;
      std::uint8_t* nowhere = nullptr;
      if (!::BrotliEncoderCompressStream(state.get(), operation, &left, &next, &none, &nowhere,
                                         nullptr)) {
        fail();
      }
      std::size_t size = 0;
      const std::uint8_t* const bytes = ::BrotliEncoderTakeOutput(state.get(), &size);
      out.append(reinterpret_cast<const char*>(bytes), size);
    } while (left > 0 || ::BrotliEncoderHasMoreOutput(state.get()));
    return out;
  };
}

Encoder zstd_encoder(int window_log, bool checksum) {
  const std::shared_ptr<ZSTD_CCtx> context(::ZSTD_createCCtx(), &::ZSTD_freeCCtx);
  ::ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, checksum ? 1 : 0);
  ::ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, window_log);
  return [context](std::string_view text, Push push) {
    std::string out;
    Buffer buffer;
    ZSTD_inBuffer in{text.data(), text.size(), 0};
    const auto directive = push == Push::data    ? ZSTD_e_continue
                           : push == Push::flush ? ZSTD_e_flush
                                                 : ZSTD_e_end;
    for (;;) {
      ZSTD_outBuffer to{buffer.data(), buffer.size(), 0};
      const std::size_t left = ::ZSTD_compressStream2(context.get(), &to, &in, directive);
      if (::ZSTD_isError(left) != 0) fail();
      out.append(buffer.data(), to.pos);
      if (push == Push::data ? in.pos == in.size : left == 0) return out;
    }
  };
}

Encoder encoder_of(std::string_view coding) {
  if (coding == "gzip") return zlib_encoder(31);
  if (coding == "deflate") return zlib_encoder(15);
  if (coding == "raw deflate") return zlib_encoder(-15);
  if (coding == "br") return brotli_encoder();
  if (coding == "zstd") return zstd_encoder();
  fail();
}

std::string encoded(const Encoder& encoder, std::string_view text) {
  return encoder(text, Push::finish);
}

std::string encoded(std::string_view codings, std::string_view text) {
  std::string all(text);
  while (!codings.empty()) {
    const auto comma = std::min(codings.find(", "), codings.size());
    all = encoded(encoder_of(codings.substr(0, comma)), all);
    codings.remove_prefix(std::min(comma + 2, codings.size()));
  }
  return all;
}

std::string prose(std::size_t size) {
  constexpr std::array<std::string_view, 8> kWords{"slow ",  "reader ", "server ", "queue ",
                                                   "waits ", "until ",  "memory ", "byte\n"};
  std::string text;
  for (std::uint32_t state = 1; text.size() < size;) {
    state = state * 1664525 + 1013904223;
    text += kWords[state >> 29];
    text += static_cast<char>('a' + (state >> 20) % 26);
  }
  text.resize(size);
  return text;
}

std::string noise(std::size_t size) {
  std::string text(size, '\0');
  std::uint64_t state = 88172645463325252U;
  for (char& c : text) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    c = static_cast<char>(state >> 32);
  }
  return text;
}

}  // namespace weir::test
