#include "router_service/metrics/pool_state_metrics.h"

#include <limits>

#include "common/notification.h"
#include "tests/router_service/metrics/metrics_fixture.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PoolStateMetricsTest : public MetricsFixture {
 protected:
  void Sweep() { metrics_->Swept(catalogue_->All(), clock_.Now()); }
  void Reload(const std::string& yaml) {
    config::v1::Router next;
    ASSERT_THAT(ReadYaml(yaml, next), IsOk());
    Notification give_up;
    auto staged = catalogue_->Stage(next, absl::ZeroDuration(), give_up);
    ASSERT_THAT(staged.status(), IsOk());
    catalogue_->Commit(*std::move(staged));
  }
};

TEST_F(PoolStateMetricsTest, PricesOfLoadAreThoseOfPoolsThatAreThere) {
  Begin(absl::StrCat(kTwoExperts, "  selection: {max_utilisation: 0.8}\n"));
  Sweep();
  EXPECT_EQ(*Value(R"(congestion_gamma{pool="pool"})"), 0);
  EXPECT_EQ(*Value(R"(congestion_gamma_effective{pool="pool"})"), 0);
  Reload(R"(
pools:
- name: another
  experts: [{name: small, replicas: [{address: "small:1"}]}]
)");
  Sweep();
  EXPECT_THAT(Scrape(), Not(HasSubstr("congestion_gamma{")));
  EXPECT_THAT(Scrape(), Not(HasSubstr("congestion_gamma_effective{")));
}

TEST_F(PoolStateMetricsTest, APoolWhoseLoadHasNoPriceAnyMoreTellsNone) {
  Begin(absl::StrCat(kTwoExperts, "  selection: {max_utilisation: 0.8}\n"));
  Sweep();
  EXPECT_EQ(*Value(R"(congestion_gamma{pool="pool"})"), 0);
  Reload(kTwoExperts);
  Sweep();
  EXPECT_THAT(Scrape(), Not(HasSubstr("congestion_gamma{")));
  EXPECT_THAT(Scrape(), Not(HasSubstr("congestion_gamma_effective{")));
}

TEST_F(PoolStateMetricsTest, PlansAreCountedByAReasonThatIsOneWord) {
  Begin(kTwoExperts);
  AdmissionPlan plan;
  plan.reason = ReplanReason::kFirst;
  metrics_->PlanMade(*catalogue_->Find("pool"), plan);
  plan.reason = ReplanReason::kDrift;
  metrics_->PlanMade(*catalogue_->Find("pool"), plan);
  EXPECT_EQ(*Value(R"(plans_total{pool="pool",reason="first_plan"})"), 1);
  EXPECT_EQ(*Value(R"(plans_total{pool="pool",reason="costs_drifted"})"), 1);
}

TEST(ExpertGaugesTest, FollowThePoolsExperts) {
  prometheus::Registry registry;
  PoolLabels labels;
  ExpertGauges gauges(
      prometheus::BuildGauge().Name("penstock_router_expert_awake").Register(registry), labels);
  const auto of = [&](const std::string& expert) {
    return ValueOf(registry,
                   "penstock_router_expert_awake{expert=\"" + expert + "\",pool=\"pool\"}");
  };
  gauges.Set("pool", {"a", "b"}, {1, 0});
  EXPECT_EQ(*of("a"), 1);
  EXPECT_EQ(*of("b"), 0);
  gauges.Set("pool", {"c", "b"}, {0, 1});
  EXPECT_FALSE(of("a").has_value());
  EXPECT_EQ(*of("b"), 1);
  EXPECT_EQ(*of("c"), 0);
  gauges.KeepOnly({"pool"});
  EXPECT_TRUE(of("b").has_value());
  gauges.Set("pool", {"c", "b"}, {std::numeric_limits<double>::quiet_NaN(), 0.5});
  EXPECT_FALSE(of("c").has_value());
  EXPECT_EQ(*of("b"), 0.5);
  gauges.KeepOnly({});
  EXPECT_FALSE(of("b").has_value());
}

TEST(ExpertGaugesTest, BeyondWhatIsToldThereIsNone) {
  prometheus::Registry registry;
  PoolLabels labels;
  for (size_t i = 0; i < PoolLabels::kMostPools; ++i) labels.Admit(absl::StrCat("pool", i));
  ExpertGauges gauges(
      prometheus::BuildGauge().Name("penstock_router_expert_awake").Register(registry), labels);
  gauges.Set("late", {"a"}, {1});
  gauges.Set("pool1", {"a"}, {1});
  EXPECT_THAT(TextOf(registry), Not(HasSubstr("late")));
  EXPECT_THAT(TextOf(registry), HasSubstr("pool=\"pool1\"} 1"));
  gauges.KeepOnly({});
  EXPECT_THAT(TextOf(registry), Not(HasSubstr("pool1")));
}

}  // namespace
}  // namespace penstock::router
