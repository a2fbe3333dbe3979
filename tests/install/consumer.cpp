#include <weir/weir.hpp>

// Throws and catches across the library's edge, which needs its symbols and its type information.
int main() {
  weir::Client client;
  try {
    (void)client.fetch("ftp://127.0.0.1/");
  } catch (const weir::Error& error) {
    return error.code() == weir::errc::invalid_argument ? 0 : 1;
  }
  return 2;
}
