// error: deleted (constructor|function)
#include <utility>

#include "weir/weir.hpp"

weir::Body misuse(weir::Body& body) {
#ifdef WEIR_MISUSE
  return weir::Body(body);
#else
  return weir::Body(std::move(body));
#endif
}
