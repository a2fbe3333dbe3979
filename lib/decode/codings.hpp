#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "decode/decoder.hpp"

namespace weir::decode {

/// What Accept-Encoding offers: all that `make_decoder` knows.
inline constexpr const char* kAcceptEncoding = "gzip, deflate, br, zstd";

/// True if the value of Content-Encoding names anything but `identity`.
bool is_encoded(std::string_view content_encoding) noexcept;

/// What undoes all the codings of a Content-Encoding, the last one first. At most two: each
/// multiplies what a few bytes can become. Null: `problem` says which coding is unknown, or that
/// there are too many. Names are case-insensitive; `x-gzip` is `gzip` (RFC 9110 section 8.4.1.3).
/// Throws std::bad_alloc.
std::unique_ptr<Decoder> make_decoder(std::string_view content_encoding, std::string& problem);

}  // namespace weir::decode
