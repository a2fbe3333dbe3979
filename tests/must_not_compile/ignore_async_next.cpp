// error: nodiscard
#include "weir/weir.hpp"

void misuse(weir::EventStream& events) {
#ifdef WEIR_MISUSE
  events.async_next();
#else
  const auto named = events.async_next();
#endif
}
