#include "net/connection_limit.hpp"

namespace weir::net {

bool ConnectionLimit::take(const std::string& origin) {
  if (full()) return false;
  if (per_origin_ != 0) {
    std::size_t& count = origins_[origin];
    if (count >= per_origin_) return false;
    ++count;
  }
  ++taken_;
  return true;
}

void ConnectionLimit::give(const std::string& origin) noexcept {
  --taken_;
  const auto found = origins_.find(origin);
  if (found != origins_.end() && --found->second == 0) origins_.erase(found);
}

}  // namespace weir::net
