// error: deleted (constructor|function)
#include <utility>

#include "weir/weir.hpp"

weir::Reader misuse(weir::Reader& reader) {
#ifdef WEIR_MISUSE
  return weir::Reader(reader);
#else
  return weir::Reader(std::move(reader));
#endif
}
