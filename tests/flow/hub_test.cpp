#include "flow/hub.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "flow/flow_fixture.hpp"

using namespace weir;
using namespace weir::test;
using flow::Channel;

namespace {

constexpr flow::Watermarks kSmall{.high = 1000, .low = 250, .unread_high = 1000};

std::unique_ptr<FakeSource> paused(Flow& flow) {
  auto source = flow.source(kSmall);
  source->send(std::string(1000, 'x'));
  CHECK(source->send(std::string(2000, 'x')) == Offer::paused);
  return source;
}

/// Calls back when it is resumed.
class Scripted final : public flow::Producer {
 public:
  Scripted(FakeHub& hub, std::shared_ptr<Channel> channel, std::function<void(Channel&)> resumed)
      : hub_(hub), channel_(std::move(channel)), resumed_(std::move(resumed)) {
    hub_.as_io([this] { channel_->attach(this); });
  }
  ~Scripted() {
    if (channel_) hub_.as_io([this] { channel_->attach(nullptr); });
  }
  void resume_transfer() override { resumed_(*channel_); }
  void cancel_transfer() override {}
  void let_go() {
    channel_->attach(nullptr);
    channel_.reset();
  }

 private:
  FakeHub& hub_;
  std::shared_ptr<Channel> channel_;
  std::function<void(Channel&)> resumed_;
};

Offer offer(Channel& channel, std::size_t count) {
  const std::string text(count, 'x');
  return channel.offer({reinterpret_cast<const std::byte*>(text.data()), text.size()});
}

}  // namespace

TEST_SUITE_BEGIN("flow");

TEST_CASE("Hub: signals are handled in the order they were left") {
  Flow flow;
  std::vector<int> order;
  std::vector<std::shared_ptr<Channel>> channels;
  std::vector<std::unique_ptr<Scripted>> sources;
  for (int i = 0; i < 4; ++i) {
    channels.push_back(flow.channel(kSmall));
    sources.push_back(std::make_unique<Scripted>(*flow.hub, channels.back(),
                                                 [&order, i](Channel&) { order.push_back(i); }));
    flow.hub->as_io([&] {
      offer(*channels.back(), 1000);
      CHECK(offer(*channels.back(), 1) == Offer::paused);
    });
  }
  for (const unsigned i : {2u, 0u, 3u, 1u}) drain(*channels[i]);
  CHECK(flow.hub->rings() == 1);
  flow.hub->run_until_idle();
  CHECK(order == std::vector<int>{2, 0, 3, 1});
}

TEST_CASE("Hub: a transport may pause again, end, or let go from inside its resume") {
  Flow flow;
  const auto channel = flow.channel(kSmall);
  int resumed = 0;
  std::unique_ptr<Scripted> source;
  std::function<void(Channel&)> script;
  source = std::make_unique<Scripted>(*flow.hub, channel, [&](Channel& self) {
    ++resumed;
    CHECK_FALSE(self.paused());  // flowing, before it is told
    script(self);
  });
  flow.hub->as_io([&] {
    offer(*channel, 1000);
    CHECK(offer(*channel, 1) == Offer::paused);
  });
  SUBCASE("pause again") {
    script = [](Channel& self) {
      CHECK(offer(self, 1000) == Offer::accepted);
      CHECK(offer(self, 1) == Offer::paused);
    };
    for (int cycle = 1; cycle <= 5; ++cycle) {
      drain(*channel);
      flow.hub->run_until_idle();
      CHECK(resumed == cycle);
      flow.check_counters(1);
    }
  }
  SUBCASE("end") {
    script = [](Channel& self) { self.end(); };
    drain(*channel);
    flow.hub->run_until_idle();
    CHECK(try_take(*channel).status == ReadStatus::end);
    flow.check_counters(0);
  }
  SUBCASE("cancel") {
    script = [](Channel& self) { self.cancel(); };
    drain(*channel);
    flow.hub->run_until_idle();
    CHECK(thrown_by([&] { try_take(*channel); }) == errc::aborted);
    flow.check_counters(0);
  }
  SUBCASE("let go of its end") {
    script = [&](Channel&) { source->let_go(); };
    drain(*channel);
    flow.hub->run_until_idle();
    CHECK(resumed == 1);
    flow.check_counters(0);
  }
}

TEST_CASE("Hub: a signal keeps its Channel, which may lose both its ends meanwhile") {
  Flow flow;
  std::weak_ptr<Channel> seen;
  {
    const auto source = paused(flow);
    seen = source->channel().weak_from_this();
    flow.hub->run_until_idle();
    drain(source->channel());
  }
  CHECK_FALSE(seen.expired());
  flow.hub->run_until_idle();
  CHECK(seen.expired());
  flow.check_counters(0);
  CHECK(flow.hub->budget.held() == 0);
}

TEST_CASE("Hub: close drops signals, the line and wake-ups that wait, and keeps nothing alive") {
  const auto clock = std::make_unique<ManualClock>();
  auto hub = std::make_shared<FakeHub>(1, *clock);
  std::weak_ptr<Channel> seen;
  {
    const auto channel = std::make_shared<Channel>(hub, kSmall);
    seen = channel;
    FakeSource source(*hub, channel);
    source.send(std::string(1000, 'x'));
    source.send(std::string(1000, 'x'));
    drain(*channel, 800);
    hub->shut();
    hub->silence();
    drain(*channel);
    channel->cancel();
    CHECK_FALSE(hub->silence());
    hub->shut();
    hub->run_until_idle();
    CHECK(source.cancelled() == 0);
    CHECK(source.resumed() == 0);
  }
  CHECK(seen.expired());
  CHECK(hub->budget.held() == 0);
  CHECK(hub->stats().paused == 0);
  CHECK(hub.use_count() == 1);
}

TEST_CASE("Hub: a Channel outlives the driver and still gives what it holds") {
  auto hub = std::make_shared<FakeHub>();
  const auto channel = std::make_shared<Channel>(hub, flow::Watermarks{});
  {
    FakeSource source(*hub, channel);
    source.send("abc");
    source.fail({.code = errc::truncated, .detail = {}, .url = {}});
    hub->shut();
  }
  hub.reset();
  CHECK(try_take(*channel).chunk.text() == "abc");
  CHECK(thrown_by([&] { try_take(*channel); }) == errc::truncated);
}

TEST_CASE("Hub: counters cover all its bodies") {
  Flow flow;
  const auto one = paused(flow);
  const auto two = paused(flow);
  const auto three = paused(flow);
  flow.check_counters(3);
  CHECK(flow.hub->stats().bytes_received == 3000);
  CHECK(flow.hub->stats().queue_memory == 3 * (detail::Slab::kSmallest + sizeof(detail::Slab)));
  drain(one->channel());
  two->channel().cancel();
  flow.hub->run_until_idle();
  flow.check_counters(1);
  CHECK(flow.hub->stats().resumes == 1);
  CHECK(flow.hub->stats().cancelled_while_paused == 1);
  CHECK(flow.hub->stats().bytes_received == 5000);
  CHECK(flow.hub->stats().peak_queue_memory >=
        3 * (detail::Slab::kSmallest + sizeof(detail::Slab)));
}

TEST_SUITE_END();
