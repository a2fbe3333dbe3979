// What lib/flow costs on one thread, without a transport: the floor under every byte and request.

#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/slab.hpp"
#include "flow/channel.hpp"
#include "flow/credit_queue.hpp"
#include "flow/hub.hpp"
#include "flow/queue.hpp"
#include "support/fake_hub.hpp"

namespace weir::bench {
namespace {

using test::FakeHub;

constexpr std::size_t kAnySize = static_cast<std::size_t>(-1);

void count_bytes(benchmark::State& state, std::size_t each) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(each));
}

std::size_t size_of(const benchmark::State& state) {
  return static_cast<std::size_t>(state.range(0));
}

void memcpy_alone(benchmark::State& state) {
  const std::vector<std::byte> from(size_of(state));
  std::vector<std::byte> to(from.size());
  for (auto _ : state) {
    std::copy(from.begin(), from.end(), to.begin());
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
  }
  count_bytes(state, from.size());
}
BENCHMARK(memcpy_alone)->Arg(200)->Arg(16 << 10);

void slab_acquire_release(benchmark::State& state) {
  auto* const pool = detail::SlabPool::create();
  for (auto _ : state) pool->acquire(size_of(state))->release();
  pool->release();
}
BENCHMARK(slab_acquire_release)->Arg(1 << 10)->Arg(60 << 10);

/// `writes` of that size go in, then everything comes out.
void queue_commit_take(benchmark::State& state) {
  auto* const pool = detail::SlabPool::create();
  const std::vector<std::byte> data(size_of(state));
  const auto writes = static_cast<std::size_t>(state.range(1));
  {
    flow::SlabQueue queue;
    for (auto _ : state) {
      for (std::size_t i = 0; i < writes; ++i) {
        queue.prepare(data.size(), i * data.size(), *pool);
        queue.commit(data);
      }
      while (!queue.take(kAnySize).empty()) {
      }
      queue.vacate();
    }
  }
  pool->release();
  count_bytes(state, data.size() * writes);
}
BENCHMARK(queue_commit_take)
    ->Args({200, 1})
    ->Args({200, 64})
    ->Args({16 << 10, 1})
    ->Args({16 << 10, 16});

/// The same through a Channel, with its marks, budget and counters, and one flush for all.
void channel_offer_take(benchmark::State& state) {
  const auto hub = std::make_shared<FakeHub>();
  const auto channel = std::make_shared<flow::Channel>(hub, flow::Watermarks{});
  const std::vector<std::byte> data(size_of(state));
  const auto writes = static_cast<std::size_t>(state.range(1));
  hub->io.acquire();
  for (auto _ : state) {
    for (std::size_t i = 0; i < writes; ++i) benchmark::DoNotOptimize(channel->offer(data));
    hub->flush();
    while (channel->take(kAnySize, flow::Wait::never())) {
    }
  }
  hub->close();
  hub->io.release();
  count_bytes(state, data.size() * writes);
}
BENCHMARK(channel_offer_take)->Args({200, 1})->Args({16 << 10, 1})->Args({16 << 10, 16});

void channel_make_destroy(benchmark::State& state) {
  const auto hub = std::make_shared<FakeHub>();
  for (auto _ : state) {
    benchmark::DoNotOptimize(std::make_shared<flow::Channel>(hub, flow::Watermarks{}));
  }
  hub->shut();
}
BENCHMARK(channel_make_destroy);

struct Node : flow::CreditNode {};

/// That many bodies leave a signal, then the list is taken.
void credit_push_drain(benchmark::State& state) {
  std::vector<std::shared_ptr<Node>> nodes(size_of(state));
  for (auto& node : nodes) node = std::make_shared<Node>();
  flow::CreditQueue queue;
  std::size_t rings = 0;
  std::size_t handled = 0;
  for (auto _ : state) {
    for (const auto& node : nodes) rings += queue.push(node) ? 1 : 0;
    queue.drain([&](const std::shared_ptr<flow::CreditNode>&) { ++handled; });
  }
  queue.close();
  benchmark::DoNotOptimize(rings);
  state.SetItemsProcessed(static_cast<std::int64_t>(handled));
}
BENCHMARK(credit_push_drain)->Arg(1)->Arg(64);

}  // namespace
}  // namespace weir::bench

BENCHMARK_MAIN();
