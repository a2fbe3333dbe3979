#include "net/lookup_gate.hpp"

#include <algorithm>
#include <utility>

namespace weir::net {

bool LookupGate::enter(LookupSeeker& seeker, std::string host) {
  if (seeker.place_ == Place::looking) return true;
  if (seeker.place_ == Place::called) {
    seeker.place_ = Place::looking;
    return true;
  }
  forget_answered();
  seeker.question_ = std::make_unique<LookupSeeker::Question>();
  seeker.question_->host = std::move(host);
  if (under_way_.size() < kMost && !is_asked(seeker.question_->host)) {
    under_way_.push_back(&seeker);
    seeker.place_ = Place::looking;
    return true;
  }
  seeker.question_->line = held_.insert(held_.end(), &seeker);
  seeker.place_ = Place::held;
  return false;
}

void LookupGate::leave(LookupSeeker& seeker) noexcept {
  switch (std::exchange(seeker.place_, Place::outside)) {
    case Place::outside: return;
    case Place::held: held_.erase(seeker.question_->line); return;
    case Place::free: free_.erase(seeker.question_->line); return;
    case Place::called: break;
    case Place::looking:
      if (seeker.lookup_over()) answer(seeker.question_->host);
      break;
  }
  std::erase(under_way_, &seeker);
  changed_ = true;
}

std::list<LookupSeeker*> LookupGate::take_companions(const LookupSeeker& front) noexcept {
  Line taken;
  for (auto it = held_.begin(); it != held_.end();) {
    const auto at = it++;
    if ((*at)->question_->host != front.question_->host) continue;
    (*at)->place_ = Place::outside;
    taken.splice(taken.end(), held_, at);
  }
  return taken;
}

void LookupGate::settle() noexcept {
  forget_answered();
  for (std::size_t i = under_way_.size(); i-- > 0;)
    if (under_way_[i]->place_ == Place::called) leave(*under_way_[i]);
}

LookupSeeker* LookupGate::next() noexcept {
  if (!free_.empty()) {
    LookupSeeker* const seeker = free_.front();
    leave(*seeker);
    return seeker;
  }
  if (!changed_) return nullptr;
  for (auto it = held_.begin(); it != held_.end() && under_way_.size() < kMost; ++it) {
    LookupSeeker* const seeker = *it;
    if (is_asked(seeker->question_->host)) continue;
    held_.erase(it);
    under_way_.push_back(seeker);
    seeker->place_ = Place::called;
    return seeker;
  }
  changed_ = false;
  return nullptr;
}

void LookupGate::forget_answered() noexcept {
  for (std::size_t i = under_way_.size(); i-- > 0;) {
    LookupSeeker& seeker = *under_way_[i];
    if (seeker.place_ == Place::looking && seeker.lookup_over()) leave(seeker);
  }
}

void LookupGate::answer(const std::string& host) noexcept {
  for (auto it = held_.begin(); it != held_.end();) {
    const auto at = it++;
    if ((*at)->question_->host != host) continue;
    (*at)->place_ = Place::free;
    free_.splice(free_.end(), held_, at);
  }
}

bool LookupGate::is_asked(const std::string& host) const noexcept {
  return std::any_of(under_way_.begin(), under_way_.end(),
                     [&](const LookupSeeker* seeker) { return seeker->question_->host == host; });
}

}  // namespace weir::net
