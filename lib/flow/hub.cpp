#include "flow/hub.hpp"

#include <utility>

#include "flow/channel.hpp"

namespace weir::flow {

Hub::Hub(std::size_t memory_budget, const detail::Clock& time)
    : clock(time), slabs(detail::SlabPool::create()), budget(memory_budget) {}

Hub::~Hub() { slabs->release(); }

void Hub::post(std::shared_ptr<CreditNode> node) noexcept {
  if (!credits.push(std::move(node))) return;
  rings_.fetch_add(1, std::memory_order_relaxed);  // relaxed: a statistic
  ring();
}

void Hub::give_back(std::size_t bytes) noexcept {
  // The node is a member: its pointer owns nothing.
  if (bytes != 0 && budget.give_back(bytes)) {
    post(std::shared_ptr<CreditNode>(std::shared_ptr<void>(), &budget_node_));
  }
}

void Hub::process() {
  credits.drain([this](const std::shared_ptr<CreditNode>& node) {
    if (node.get() == &budget_node_) {
      budget.start_over();
    } else {
      static_cast<Channel&>(*node).handle_credit();
    }
  });
  if (budget.serve()) ring();
}

void Hub::mark_dirty(Channel& channel) noexcept {
  if (closed_) {
    channel.wake_reader();
    return;
  }
  if (channel.dirty_) return;
  channel.dirty_ = true;
  (dirty_last_ != nullptr ? dirty_last_->dirty_next_ : dirty_first_) = channel.shared_from_this();
  dirty_last_ = &channel;
}

std::size_t Hub::flush() {
  std::size_t woken = 0;
  dirty_last_ = nullptr;
  for (auto channel = std::move(dirty_first_); channel;) {
    channel->dirty_ = false;
    auto next = std::move(channel->dirty_next_);
    if (channel->wake_reader()) ++woken;
    channel = std::move(next);
  }
  return woken;
}

void Hub::close() {
  closed_ = true;
  credits.close();
  budget.clear();
  flush();
}

std::uint64_t Hub::bytes_received() const noexcept {
  return bytes_received_.load(std::memory_order_relaxed);
}

std::uint64_t Hub::rings() const noexcept { return rings_.load(std::memory_order_relaxed); }

HubStats Hub::stats() const noexcept {
  HubStats now;
  now.bytes_received = bytes_received();
  // What ends a pause is read before the pauses, with acquire: no pause is missing that was seen
  // to end, so `paused` never runs below zero. Pairs with the releases in Channel.
  now.resumes = resumes_.load(std::memory_order_acquire);
  now.cancelled_while_paused = cancelled_while_paused_.load(std::memory_order_acquire);
  now.pauses = pauses_.load(std::memory_order_relaxed);
  now.paused = now.pauses - now.resumes - now.cancelled_while_paused;
  now.rings = rings();
  now.queue_memory = budget.held();
  now.peak_queue_memory = budget.peak();
  return now;
}

}  // namespace weir::flow
