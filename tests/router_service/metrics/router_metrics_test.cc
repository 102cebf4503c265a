#include "router_service/router_metrics.h"

#include "tests/router_service/metrics/metrics_fixture.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

void Finish(RouterMetrics& metrics, const std::string& pool) {
  v1::Decision decision;
  decision.set_pool(pool);
  decision.set_degraded("budget");
  v1::Run& run = *decision.add_runs();
  run.set_expert(pool + "-expert");
  run.set_reason("hedge");
  run.set_status("OK");
  const RunFigures figures[] = {{true, 0.1, 0.2, 0.1, 1, 1.0, EnergyMethod::kCounter}};
  RouteEvent event;
  event.pool = pool;
  event.decision = &decision;
  event.runs = figures;
  event.latency_budget = absl::Seconds(1);
  event.refusal = Refusal::kBudget;
  event.hedges_refused = 1;
  metrics.RequestFinished(event);
}

// What a request may be told in, all families.
TEST(RouterMetricsTest, NoPoolBeyondTheCapBecomesALabel) {
  prometheus::Registry registry;
  PoolLabels labels;
  RouterMetrics metrics(registry, labels, {}, 10);
  for (size_t i = 0; i < PoolLabels::kMostPools; ++i) metrics.AddPool(absl::StrCat("pool", i));
  for (const char* late : {"late", "later"}) {
    metrics.AddPool(late);
    Finish(metrics, late);
  }
  Finish(metrics, "never-heard-of");
  const std::string text = TextOf(registry);
  EXPECT_THAT(text, Not(HasSubstr("\"late")));
  EXPECT_THAT(text, Not(HasSubstr("\"never")));
  EXPECT_THAT(text, HasSubstr(R"(dispatches_total{expert="other",pool="other",reason="hedge"} 3)"));
  EXPECT_THAT(text, HasSubstr(R"(hedges_total{outcome="won",pool="other"} 3)"));
  EXPECT_THAT(text, HasSubstr(R"(latency_promises_total{expert="other",pool="other",)"
                              R"(result="kept"} 3)"));
  EXPECT_THAT(text, HasSubstr(R"(refusals_total{pool="other",reason="budget"} 3)"));
}

TEST(RouterMetricsTest, APoolThatComesBackGoesOnCounting) {
  prometheus::Registry registry;
  PoolLabels labels;
  RouterMetrics metrics(registry, labels, {"pool"}, 10);
  Finish(metrics, "pool");
  metrics.Swept({}, absl::UnixEpoch());  // it is gone
  metrics.AddPool("pool");
  Finish(metrics, "pool");
  EXPECT_EQ(*ValueOf(registry, R"(penstock_router_requests_total{code="OK",pool="pool"})"), 2);
  EXPECT_EQ(*ValueOf(registry, R"(penstock_router_degraded_total{pool="pool",reason="budget"})"),
            2);
}

}  // namespace
}  // namespace penstock::router
