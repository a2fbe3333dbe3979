// error: nodiscard
#include "weir/weir.hpp"

void misuse() {
#ifdef WEIR_MISUSE
  weir::async_fetch("http://localhost/");
#else
  const auto pending = weir::async_fetch("http://localhost/");
#endif
}
