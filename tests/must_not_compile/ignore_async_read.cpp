// error: nodiscard
#include "weir/weir.hpp"

void misuse(weir::Reader& reader) {
#ifdef WEIR_MISUSE
  reader.async_read();
#else
  const auto named = reader.async_read();
#endif
}
