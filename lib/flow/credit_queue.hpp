#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "flow/atomics.hpp"

namespace weir::flow {

/// What a Channel is linked by while its reader has something to tell.
class CreditNode {
 public:
  CreditNode() = default;
  CreditNode(const CreditNode&) = delete;
  CreditNode& operator=(const CreditNode&) = delete;

 protected:
  ~CreditNode() = default;

 private:
  template <class Atomics>
  friend class BasicCreditQueue;
  std::atomic<bool> queued_{false};
  CreditNode* next_ = nullptr;        // see Q1
  std::shared_ptr<CreditNode> keep_;  // see Q1
};

/// Signals of many readers to one I/O thread: a lock-free list that is taken whole. A node is
/// linked at most once until it is taken, however often it is pushed.
///
/// Invariants:
///  Q1  `next_` and `keep_` belong to the pusher that turned `queued_` from false to true, until it
///      has linked the node or was refused; then to the I/O thread, until it turns `queued_` back
///      to false.
///  Q2  A linked node is alive: `keep_` holds it. The I/O thread moves `keep_` out before it clears
///      `queued_`.
///  Q3  What was written before a push is seen by the handler of that node. Either the push finds
///      `queued_` false and links, or it finds true, and then the clearing exchange comes later and
///      reads from it. So `queued_` is cleared before the handler looks at anything the pushers
///      write.
///  Q4  Whoever links to an empty list says so, and rings: one ring until the whole list is taken.
///      The I/O thread silences its bell before it takes the list.
///  Q5  Once `head_` is the closed mark it stays so: nothing is linked that nobody will take.
///
/// Thread-safety: push() from any thread; drain() and close() by the holder of io.
/// Lifetime: linked nodes keep themselves alive; a queue must be closed before it is destroyed.
template <class Atomics>
class BasicCreditQueue {
 public:
  BasicCreditQueue() = default;
  BasicCreditQueue(const BasicCreditQueue&) = delete;
  BasicCreditQueue& operator=(const BasicCreditQueue&) = delete;

  /// Links `node` unless it is linked already. True: the list was empty, ring the bell.
  [[nodiscard]] bool push(std::shared_ptr<CreditNode> node) noexcept {
    CreditNode& linked = *node;
    // acq_rel: releases what the pusher has written to the clearing exchange (Q3), and
    // acquires the I/O thread's last use of `next_` and `keep_` from it (Q1).
    if (Atomics::exchange(linked.queued_, true, std::memory_order_acq_rel)) return false;
    linked.keep_ = std::move(node);
    CreditNode* head = Atomics::load(head_, std::memory_order_relaxed);  // relaxed: a guess
    do {
      if (head == closed()) {
        node = std::move(linked.keep_);
        // release: hands `keep_` to the next pusher (Q1), pairs with the exchange above.
        Atomics::store(linked.queued_, false, std::memory_order_release);
        return false;
      }
      linked.next_ = head;
      // release: publishes `next_` and `keep_` (Q1), pairs with the exchange in take().
    } while (!Atomics::compare_exchange(head_, head, &linked, std::memory_order_release,
                                        std::memory_order_relaxed));
    return head == nullptr;
  }

  /// Takes the whole list and calls `handle(std::shared_ptr<CreditNode>)` for each, in the order of
  /// the pushes. Pushes made meanwhile are for the next time.
  template <class Handle>
  void drain(Handle&& handle) {
    // relaxed: only the holder of io closes.
    if (Atomics::load(head_, std::memory_order_relaxed) == closed()) return;
    unlink(nullptr, handle);
  }

  /// Drops what is linked and refuses everything from now on. Repeatable.
  void close() noexcept {
    if (Atomics::load(head_, std::memory_order_relaxed) == closed()) return;  // relaxed: as above
    unlink(closed(), [](const std::shared_ptr<CreditNode>&) {});
  }

 private:
  CreditNode* closed() noexcept { return &mark_; }

  template <class Handle>
  void unlink(CreditNode* replacement, Handle&& handle) {
    // acquire: the nodes' fields (Q1), pairs with the release in push().
    CreditNode* node = Atomics::exchange(head_, replacement, std::memory_order_acquire);
    CreditNode* ordered = nullptr;
    while (node != nullptr) {
      CreditNode* const next = std::exchange(node->next_, ordered);
      ordered = std::exchange(node, next);
    }
    while (ordered != nullptr) {
      CreditNode* const taken = ordered;
      ordered = taken->next_;
      std::shared_ptr<CreditNode> keep = std::move(taken->keep_);
      // acq_rel, and not a mere store: it must read from the pushes that found true (Q3), and hands
      // the node's fields back (Q1). Both pair with the exchange in push().
      Atomics::exchange(taken->queued_, false, std::memory_order_acq_rel);
      handle(std::move(keep));
    }
  }

  struct Mark : CreditNode {};
  Mark mark_;
  std::atomic<CreditNode*> head_{nullptr};
};

using CreditQueue = BasicCreditQueue<StdAtomics>;

}  // namespace weir::flow
