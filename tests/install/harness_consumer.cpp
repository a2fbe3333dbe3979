#include <weir/harness/firehose.hpp>
#include <weir/weir.hpp>

// Fetches from the harness's server, linked as a user's program links both.
int main() {
  const weir::harness::Firehose server;
  return weir::fetch(server.url("/bytes/100000")).body.text().size() == 100000 ? 0 : 1;
}
