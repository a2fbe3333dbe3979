#include "base/deadlines.hpp"

#include <algorithm>

namespace weir::detail {

void Deadlines::reserve(std::size_t count) {
  if (count > heap_.capacity()) heap_.reserve(std::max(count, 2 * heap_.capacity()));
}

void Deadlines::set(DeadlineNode& node, TimePoint due) {
  if (due == TimePoint::max()) return remove(node);
  if (node.index_ == DeadlineNode::kOut) {
    heap_.push_back(&node);
    node.index_ = heap_.size() - 1;
  }
  node.due_ = due;
  const std::size_t index = node.index_;
  if (index > 0 && due < heap_[(index - 1) / 2]->due_)
    rise(index, &node);
  else
    sink(index, &node);
}

void Deadlines::remove(DeadlineNode& node) noexcept {
  if (node.index_ == DeadlineNode::kOut) return;
  const std::size_t index = std::exchange(node.index_, DeadlineNode::kOut);
  node.due_ = TimePoint::max();
  DeadlineNode* last = heap_.back();
  heap_.pop_back();
  if (last == &node) return;
  if (index > 0 && last->due_ < heap_[(index - 1) / 2]->due_)
    rise(index, last);
  else
    sink(index, last);
}

DeadlineNode* Deadlines::take_expired(TimePoint now) noexcept {
  if (heap_.empty() || heap_.front()->due_ > now) return nullptr;
  DeadlineNode* node = heap_.front();
  remove(*node);
  return node;
}

void Deadlines::rise(std::size_t index, DeadlineNode* node) noexcept {
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (heap_[parent]->due_ <= node->due_) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, node);
}

void Deadlines::sink(std::size_t index, DeadlineNode* node) noexcept {
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->due_ < heap_[child]->due_) ++child;
    if (heap_[child]->due_ >= node->due_) break;
    place(index, heap_[child]);
    index = child;
  }
  place(index, node);
}

}  // namespace weir::detail
