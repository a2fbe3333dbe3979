#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir::test {

/// What to do with the bytes given to an encoder.
enum class Push { data, flush, finish };

/// One coding, done. add() gives what came out.
using Encoder = std::function<std::string(std::string_view, Push)>;

/// `bits`: 15 zlib, 31 gzip, -15 raw deflate.
Encoder zlib_encoder(int bits);
Encoder brotli_encoder(int window_bits = 22, bool large_window = false);
Encoder zstd_encoder(int window_log = 0, bool checksum = true);
Encoder encoder_of(std::string_view coding);  // "raw deflate" as well

std::string encoded(const Encoder& encoder, std::string_view text);
/// The codings of a list such as "gzip, br", applied in that order.
std::string encoded(std::string_view codings, std::string_view text);

/// `size` bytes that compress to about a half, the same ones each time.
std::string prose(std::size_t size);
/// Bytes that do not compress.
std::string noise(std::size_t size);

}  // namespace weir::test
