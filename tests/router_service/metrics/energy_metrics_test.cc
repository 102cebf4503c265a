#include "router_service/metrics/energy_metrics.h"

#include "tests/router_service/metrics/metrics_fixture.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

void Finish(EnergyMetrics& metrics, const std::string& tenant, double joules) {
  v1::Decision decision;
  decision.set_tenant(tenant);
  decision.set_energy_j(joules);
  decision.set_energy_method("sampled");
  decision.add_runs();
  RouteEvent event;
  event.decision = &decision;
  metrics.RequestFinished(event);
}

TEST(EnergyMetricsTest, TenantsBeyondTheCapAreCountedTogether) {
  prometheus::Registry registry;
  EnergyMetrics metrics(registry);
  for (size_t i = 0; i < EnergyMetrics::kMostTenants; ++i) {
    Finish(metrics, absl::StrCat("tenant", i), 1);
  }
  Finish(metrics, "late", 2);
  Finish(metrics, "later", 3);
  Finish(metrics, "tenant7", 4);
  const auto of = [&](const std::string& tenant) {
    return ValueOf(registry, "penstock_router_tenant_joules_total{method=\"sampled\",tenant=\"" +
                                 tenant + "\"}");
  };
  EXPECT_EQ(*of("other"), 5);
  EXPECT_EQ(*of("tenant7"), 5);
  EXPECT_THAT(TextOf(registry), Not(HasSubstr("late")));
}

class EnergyMetricsPipelineTest : public MetricsFixture {};

TEST_F(EnergyMetricsPipelineTest, JoulesAreTheTenantsByTheirMethod) {
  Begin(kTwoExperts);
  Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.5));
  EXPECT_THAT(Ask(MakeRequest(), Rights({}, "acme")).status, IsOk());
  Target("big:1").AnswerWith(MakeReply(1, 0.9f, 0.5, 2));
  EXPECT_THAT(Ask(MakeRequest(), Rights({}, "acme")).status, IsOk());
  EXPECT_DOUBLE_EQ(*Value(R"(tenant_joules_total{method="counter",tenant="acme"})"), 1.5);
  EXPECT_DOUBLE_EQ(*Value(R"(tenant_joules_total{method="sampled",tenant="acme"})"), 0.5);
}

TEST_F(EnergyMetricsPipelineTest, AStrangersWordIsNotTaken) {
  Begin(kTwoExperts);
  Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.5));
  Send(MakeRequest(), absl::InfiniteDuration(), Rights({}, "acme"), /*trusted=*/false);
  EXPECT_DOUBLE_EQ(*Value(absl::StrCat(R"(tenant_joules_total{method="counter",tenant=")",
                                       kAnonymousTenant, "\"}")),
                   1.5);
  EXPECT_THAT(Scrape(), Not(HasSubstr("acme")));
}

TEST_F(EnergyMetricsPipelineTest, WhoWasAskedForNothingTookNothing) {
  Begin(kTwoExperts);
  Ask(MakeRequest(1, {{"penstock_min_quality", 0.99}}), Rights({}, "acme"));
  EXPECT_THAT(Scrape(), Not(HasSubstr("tenant_joules_total{")));
}

}  // namespace
}  // namespace penstock::router
