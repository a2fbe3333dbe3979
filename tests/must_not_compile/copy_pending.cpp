// error: deleted (copy )?(constructor|function)
#include <utility>

#include "weir/weir.hpp"

void misuse(weir::PendingResponse& pending) {
#ifdef WEIR_MISUSE
  const weir::PendingResponse other = pending;
#else
  const weir::PendingResponse other = std::move(pending);
#endif
}
