#include "common/metrics/store_metrics.h"

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "common/store/memory_store.h"
#include "gmock/gmock.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_timers.h"

namespace penstock {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class StoreMetricsTest : public testing::Test {
 protected:
  void TearDown() override { metrics_->Stop(); }
  std::string Text() const { return prometheus::TextSerializer().Serialize(registry_.Collect()); }
  void Call(absl::Time deadline) {
    store_.Erase("key", deadline, [](const absl::Status&) {});
  }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  MemoryStore store_{clock_};
  prometheus::Registry registry_;
  const std::shared_ptr<StoreMetrics> metrics_ =
      std::make_shared<StoreMetrics>(registry_, "state", store_, clock_, timers_);
};

TEST_F(StoreMetricsTest, TellsTheStoresStateTwiceASecond) {
  metrics_->Start();
  EXPECT_THAT(Text(),
              AllOf(HasSubstr(R"(penstock_store_connected{store="state"} 1)"),
                    HasSubstr(R"(penstock_store_calls_in_flight{store="state"} 0)"),
                    HasSubstr(R"(penstock_store_latency_seconds{store="state"} )"),
                    HasSubstr(R"(penstock_store_connections_total{store="state"} )"),
                    HasSubstr(R"(penstock_store_refusals_total{store="state"} 0)"),
                    HasSubstr(R"(penstock_store_disconnected_calls_total{store="state"} 0)"),
                    HasSubstr(R"(penstock_store_calls_total{store="state"} 0)")));
  for (int i = 0; i < 3; ++i) Call(absl::InfiniteFuture());
  Call(clock_.Now() - absl::Seconds(1));
  timers_.AdvanceAndRun(StoreMetrics::kEvery);
  const std::string once = Text();
  EXPECT_THAT(once, AllOf(HasSubstr(R"(penstock_store_calls_total{store="state"} 4)"),
                          HasSubstr(R"(penstock_store_failures_total{store="state"} 1)"),
                          HasSubstr(R"(penstock_store_timeouts_total{store="state"} 1)")));
  timers_.AdvanceAndRun(StoreMetrics::kEvery);
  EXPECT_EQ(Text(), once);  // nothing is counted twice
}

TEST_F(StoreMetricsTest, TwoStoresOfOneRegistryAreTwoLabels) {
  MemoryStore other(clock_);
  const auto others = std::make_shared<StoreMetrics>(registry_, "cache", other, clock_, timers_);
  metrics_->Start();
  others->Start();
  EXPECT_THAT(Text(), AllOf(HasSubstr(R"(penstock_store_connected{store="state"} 1)"),
                            HasSubstr(R"(penstock_store_connected{store="cache"} 1)")));
  others->Stop();
}

TEST_F(StoreMetricsTest, NothingRunsAfterStop) {
  metrics_->Start();
  metrics_->Stop();
  EXPECT_EQ(timers_.scheduled(), 0u);
  timers_.AdvanceAndRun(absl::Seconds(5));
}

}  // namespace
}  // namespace penstock
