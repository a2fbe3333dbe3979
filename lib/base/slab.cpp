#include "base/slab.hpp"

#include <bit>
#include <cassert>
#include <limits>
#include <new>

namespace weir::detail {
namespace {

// The smallest size class with room for `capacity` bytes, or the last one.
std::size_t class_for(std::size_t capacity) noexcept {
  const auto bytes = capacity < Slab::kLargest ? capacity : Slab::kLargest;
  const auto units = (bytes + Slab::kSmallest - 1) / Slab::kSmallest;
  return units == 0 ? 0 : static_cast<std::size_t>(std::bit_width(units - 1));
}

std::size_t class_of(std::size_t capacity) noexcept {
  return static_cast<std::size_t>(std::countr_zero(capacity / Slab::kSmallest));
}

void free_slab(Slab* slab) noexcept { ::operator delete(slab); }

}  // namespace

Slab* Slab::standalone(std::size_t capacity) {
  if (capacity > std::numeric_limits<std::size_t>::max() - sizeof(Slab)) throw std::bad_alloc();
  return ::new (::operator new(sizeof(Slab) + capacity)) Slab(nullptr, capacity);
}

void Slab::retain() noexcept {
  // relaxed: whoever copies a reference has one, so the slab cannot go away meanwhile.
  references_.fetch_add(1, std::memory_order_relaxed);
}

void Slab::release() noexcept {
  // acq_rel: pairs with itself in other threads. All use of the bytes comes before the count
  // reaches zero, and that before they are reused or freed.
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (pool_ == nullptr) {
    free_slab(this);
    return;
  }
  auto* const pool = pool_;
  pool->recycle(this);
  pool->release();
}

Chunk Slab::chunk(std::size_t offset, std::size_t count) noexcept {
  // relaxed: the caller has already seen what it asks for committed.
  [[maybe_unused]] const auto readable = committed.load(std::memory_order_relaxed);
  assert(offset <= readable && count <= readable - offset);
  if (count == 0) return {};
  retain();
  return Chunk(this, Bytes(data() + offset, count));
}

bool Slab::join(Chunk& front, const Chunk& back) noexcept {
  if (front.slab_ == nullptr || front.slab_ != back.slab_) return false;
  if (front.bytes_.data() + front.size() != back.bytes_.data()) return false;
  front.bytes_ = Bytes(front.bytes_.data(), front.size() + back.size());
  return true;
}

SlabPool* SlabPool::create(std::size_t retained) {
  static_assert(Slab::kSmallest << (kClasses - 1) == Slab::kLargest);
  return new SlabPool(retained);
}

void SlabPool::retain() noexcept {
  // relaxed: as Slab::retain.
  references_.fetch_add(1, std::memory_order_relaxed);
}

void SlabPool::release() noexcept {
  // acq_rel: pairs with itself in other threads, as in Slab::release.
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

SlabPool::~SlabPool() {
  for (auto* slab : free_) {
    while (slab != nullptr) {
      auto* const next = slab->next.load(std::memory_order_relaxed);  // relaxed: no one else left
      free_slab(slab);
      slab = next;
    }
  }
}

Slab* SlabPool::acquire(std::size_t capacity) {
  const auto index = class_for(capacity);
  const auto room = Slab::kSmallest << index;
  Slab* slab = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if ((slab = free_[index]) != nullptr) {
      free_[index] = slab->next.load(std::memory_order_relaxed);  // relaxed: under mutex_
      retained_ -= room + sizeof(Slab);
    }
  }
  void* const memory = slab != nullptr ? slab : ::operator new(room + sizeof(Slab));
  slab = ::new (memory) Slab(this, room);
  retain();
  return slab;
}

void SlabPool::recycle(Slab* slab) noexcept {
  const auto bytes = slab->allocated();
  {
    const std::lock_guard lock(mutex_);
    if (retained_ + bytes <= most_retained_) {
      const auto index = class_of(slab->capacity());
      slab->next.store(free_[index], std::memory_order_relaxed);  // relaxed: under mutex_
      free_[index] = slab;
      retained_ += bytes;
      return;
    }
  }
  free_slab(slab);
}

std::size_t SlabPool::retained() const noexcept {
  const std::lock_guard lock(mutex_);
  return retained_;
}

}  // namespace weir::detail
