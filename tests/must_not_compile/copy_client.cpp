// error: deleted (constructor|function)
#include "weir/weir.hpp"

weir::ClientStats misuse(weir::Client& client) {
#ifdef WEIR_MISUSE
  weir::Client copy(client);
  return copy.stats();
#else
  return client.stats();
#endif
}
