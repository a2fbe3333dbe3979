#include <cstddef>
#include <exception>
#include <vector>

#include "net/curl_driver.hpp"
#include "net/curl_setup.hpp"
#include "net/curl_url.hpp"

// Which transfers have a connection, and which wait for one.

namespace weir::net {

/// False: not now. Throws std::bad_alloc or Error; then nothing has changed.
bool CurlDriver::try_start(CurlExchange& transfer) {
  if (!limit_.take(transfer.origin)) return false;
  const CURLMcode added = curl_multi_add_handle(multi_.get(), transfer.easy());
  if (added != CURLM_OK) limit_.give(transfer.origin);
  check_multi(added);
  spin_guard_.progress();
  return true;
}

/// Throws std::bad_alloc or Error; then the transfer is neither started nor queued.
void CurlDriver::start_or_queue(CurlExchange& transfer) {
  queued_.reserve(active_.size());
  const Request& request = transfer.exchange()->request;
  if (limit_.wants_origins()) transfer.origin = origin_of(request.url);
  if (try_start(transfer)) return;
  transfer.await_turn();
  // What a redirect led to had its turn, and its connection is about to be free.
  queued_.insert(request.redirects > 0 ? queued_.begin() : queued_.end(), &transfer);
}

/// The transfer is over, or gives up.
void CurlDriver::forget_turn(CurlExchange& transfer) noexcept {
  if (transfer.waits()) {
    std::erase(queued_, &transfer);
  } else {
    limit_.give(transfer.origin);
    if (!queued_.empty()) ++room_;
  }
}

// None could start before; each connection that was given back lets one of them.
void CurlDriver::start_queued() {
  for (std::size_t i = 0; room_ > 0 && i < queued_.size() && !limit_.full();) {
    CurlExchange& transfer = *queued_[i];
    bool failed = false;
    bool started = false;
    try {
      started = try_start(transfer);
    } catch (const std::exception&) {
      failed = true;
    }
    if (started) {
      queued_.erase(queued_.begin() + static_cast<std::ptrdiff_t>(i));
      transfer.have_turn();
      --room_;
    } else if (failed) {
      transfer.complete(CURLE_OUT_OF_MEMORY);
      release(transfer);
    } else {
      ++i;
    }
  }
  room_ = 0;
  follow_active();
}

}  // namespace weir::net
