#include "router_service/guard_metrics.h"

#include <prometheus/registry.h>

#include <cmath>
#include <optional>

#include "common/config/yaml_config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

class CountingObserver final : public RouteObserver {
 public:
  void RequestFinished(const RouteEvent&) override { ++seen; }
  int seen = 0;
};

class GuardMetricsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_THAT(ReadYaml(R"(
pools:
- name: guarded
  experts: [{name: a}, {name: b}]
  classes: {red: {}, chat: {}}
  guards: {flagged_classes: [red], disagreement: true}
- name: plain
  experts: [{name: a}]
)",
                         config_),
                IsOk());
    metrics_ = std::make_unique<GuardMetrics>(registry_, labels_, config_, next_);
  }

  void Finish(const std::string& pool, const std::string& application_class,
              const std::string& expert, const std::string& flag = "") {
    v1::Decision decision;
    decision.set_application_class(application_class);
    v1::Run& run = *decision.add_runs();
    run.set_expert(expert);
    run.set_reason("chosen");
    if (!flag.empty()) decision.add_guard_flags(flag);
    RouteEvent event;
    event.pool = pool;
    event.decision = &decision;
    metrics_->RequestFinished(event);
  }
  std::optional<double> Value(const std::string& name) const {
    for (const prometheus::MetricFamily& family : registry_.Collect()) {
      if (family.name != name || family.metric.size() != 1) continue;
      return family.metric[0].gauge.value + family.metric[0].counter.value;
    }
    return std::nullopt;
  }

  config::v1::Router config_;
  prometheus::Registry registry_;
  PoolLabels labels_;
  CountingObserver next_;
  std::unique_ptr<GuardMetrics> metrics_;
};

TEST_F(GuardMetricsTest, TheIndexIsThatOfFlaggedAndOtherRequests) {
  EXPECT_TRUE(std::isnan(Value("penstock_router_concentration_index").value_or(0)));
  for (int i = 0; i < 100; ++i) {
    Finish("guarded", "red", "a");
    Finish("guarded", i % 4 == 0 ? "chat" : "", i % 2 == 0 ? "a" : "b");
  }
  EXPECT_DOUBLE_EQ(*Value("penstock_router_concentration_index"), 0.5);
  EXPECT_EQ(next_.seen, 200);
}

TEST_F(GuardMetricsTest, CountsDisagreements) {
  Finish("guarded", "", "a", "features_disagree");
  Finish("guarded", "", "a");
  EXPECT_EQ(*Value("penstock_router_features_disagree_total"), 1);
}

TEST_F(GuardMetricsTest, PassesOnWhatIsNotItsMatter) {
  Finish("plain", "", "a", "features_disagree");
  RouteEvent refused;
  metrics_->RequestFinished(refused);
  EXPECT_EQ(next_.seen, 2);
  EXPECT_EQ(*Value("penstock_router_features_disagree_total"), 0);
}

TEST_F(GuardMetricsTest, APoolThatIsGoneLeavesNoGauge) {
  config::v1::Router next = config_;
  next.mutable_pools(0)->clear_guards();
  metrics_->Update(next);
  EXPECT_FALSE(Value("penstock_router_concentration_index").has_value());
  Finish("guarded", "red", "a");
  EXPECT_EQ(next_.seen, 1);
}

TEST_F(GuardMetricsTest, OtherExpertsBeginAnewInTheSameGauge) {
  for (int i = 0; i < 100; ++i) {
    Finish("guarded", "red", "a");
    Finish("guarded", "", "b");
  }
  EXPECT_EQ(*Value("penstock_router_concentration_index"), 1);
  config::v1::Router next = config_;
  next.mutable_pools(0)->add_experts()->set_name("c");
  metrics_->Update(next);
  EXPECT_TRUE(std::isnan(*Value("penstock_router_concentration_index")));
}

}  // namespace
}  // namespace penstock::router
