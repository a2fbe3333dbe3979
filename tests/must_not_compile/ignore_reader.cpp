// error: nodiscard
#include "weir/weir.hpp"

void misuse(weir::Body& body) {
#ifdef WEIR_MISUSE
  body.reader();
#else
  body.reader().cancel();
#endif
}
