#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace weir::detail {

/// The size of the longest prefix that is well-formed UTF-8, in whole sequences.
/// Spec: The Unicode Standard, table 3-7.
std::size_t valid_utf8(std::string_view bytes) noexcept;

/// Appends `bytes`, each maximal subpart of an ill-formed sequence replaced by U+FFFD, so that at
/// least as many bytes are appended as there are. A byte order mark is a character as any other.
/// Throws std::bad_alloc. Spec: WHATWG Encoding section 8.1.1 (UTF-8 decoder, end of stream).
void append_utf8(std::string& out, std::string_view bytes);

/// Does the same to what `text` holds from `offset` on, and touches nothing that is well-formed.
void repair_utf8(std::string& text, std::size_t offset);

}  // namespace weir::detail
