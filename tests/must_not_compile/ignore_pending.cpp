// error: nodiscard
#include "weir/weir.hpp"

void misuse(weir::Client& client) {
#ifdef WEIR_MISUSE
  client.async_fetch("http://localhost/", {.method = "PUT"});
#else
  (void)client.async_fetch("http://localhost/", {.method = "PUT"}).get();
#endif
}
