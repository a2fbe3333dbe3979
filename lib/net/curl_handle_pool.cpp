#include "net/curl_handle_pool.hpp"

#include <utility>

namespace weir::net {

EasyHandle CurlHandlePool::take() noexcept {
  if (handles_.empty()) return nullptr;
  EasyHandle handle = std::move(handles_.back());
  handles_.pop_back();
  return handle;
}

void CurlHandlePool::give(EasyHandle handle) noexcept {
  if (handles_.size() < kMost) handles_.push_back(std::move(handle));
}

}  // namespace weir::net
