// error: nodiscard
#include "weir/weir.hpp"

void misuse(weir::Reader& reader) {
#ifdef WEIR_MISUSE
  reader.async_read_until(weir::Deadline::max());
#else
  const auto named = reader.async_read_until(weir::Deadline::max());
#endif
}
