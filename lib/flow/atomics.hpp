#pragma once

#include <atomic>
#include <type_traits>

namespace weir::flow {

/// How the lock-free parts reach their atomics. Tests put a policy in its place that hands over to
/// a seeded scheduler at every operation, so that an interleaving that fails can be replayed.
struct StdAtomics {
  template <class T>
  static T load(const std::atomic<T>& at, std::memory_order order) noexcept {
    return at.load(order);
  }
  template <class T>
  static void store(std::atomic<T>& at, std::type_identity_t<T> value,
                    std::memory_order order) noexcept {
    at.store(value, order);
  }
  template <class T>
  static T exchange(std::atomic<T>& at, std::type_identity_t<T> value,
                    std::memory_order order) noexcept {
    return at.exchange(value, order);
  }
  /// Strong. `failure` is the order of the load when it fails.
  template <class T>
  static bool compare_exchange(std::atomic<T>& at, T& expected, std::type_identity_t<T> desired,
                               std::memory_order success, std::memory_order failure) noexcept {
    return at.compare_exchange_strong(expected, desired, success, failure);
  }
};

}  // namespace weir::flow
